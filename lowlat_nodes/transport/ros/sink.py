# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers that write serialised messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.endpoint import UnknownOutput
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.ros.clock import RosClock
from lowlat_nodes.transport.ros.forms import writer
from lowlat_nodes.transport.ros.serialised import publish
from lowlat_nodes.transport.ros.topics import Output, choose_reliability, message_type, overridable, profile


class RosSink:
    """Publishes each message on the topic that belongs to its name.

    The bytes are written by `transport.cdr` and published as they are: an image is copied once, and never
    passes through `Image.data`, whose setter copies again and walks over arrays item by item. Headers carry
    the capture time and the frame of the input; a message without capture time is stamped now. `write` is
    for one thread at a time.

    Args:
        node: Owns the publishers.
        outputs: What to write, by the topic of the messages: a processor's output names.
        clock: Stamps messages without capture time; the node's clock unless given.

    Raises:
        ConfigurationError: If a message type is not installed.
    """

    def __init__(self, node: Node, outputs: Mapping[str, Output], *, clock: Clock | None = None) -> None:
        self._node = node
        self._clock = clock or RosClock(node)
        self._outputs = {
            name: (output, writer(output.type_name), _publisher(node, output))
            for name, output in outputs.items()
        }

    def wanted(self, name: str) -> bool:
        """Return whether anybody listens to an output."""
        return bool(self._outputs[name][2].get_subscription_count())

    def write(self, message: Message) -> None:
        """Publish a message; with `on_demand`, only while somebody listens.

        Raises:
            UnknownOutput: If no output has the message's topic.
            CdrError: If the payload does not fit the type of the output.
        """
        try:
            output, encode, publisher = self._outputs[message.topic]
        except KeyError:
            raise UnknownOutput(message.topic, self._outputs) from None
        if output.on_demand and not publisher.get_subscription_count():
            return
        stamp_ns = message.trace.capture_ns or self._clock.now_ns()
        publish(publisher, encode(stamp_ns, message.frame_id, message.payload))

    def close(self) -> None:
        """Withdraw the publishers."""
        outputs, self._outputs = self._outputs, {}
        for *_, publisher in outputs.values():
            self._node.destroy_publisher(publisher)


def _publisher(node: Node, output: Output) -> Any:
    reliability = choose_reliability(output.reliability, output.type_name, ())
    return node.create_publisher(
        message_type(output.type_name),
        output.topic,
        profile(output.depth, reliability, latched=output.latched),
        qos_overriding_options=overridable(),
    )
