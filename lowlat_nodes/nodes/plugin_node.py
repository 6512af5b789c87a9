# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The executable `processor_node`: hosts whichever processor its parameters name."""

from __future__ import annotations

import sys
from typing import Any

from lowlat_nodes.nodes.diagnostics import Report
from lowlat_nodes.nodes.plugin_config import PluginNodeConfig
from lowlat_nodes.nodes.processor_node import ProcessorNode
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Serialised
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.forms import Write, writer
from lowlat_nodes.transport.zmq.options import WAITING_MESSAGES
from lowlat_nodes.transport.zmq.publisher import Publisher


class PluginNode(ProcessorNode[PluginNodeConfig]):
    """Hosts a processor by configuration alone.

    Its topics are those of the processor's inputs and outputs, and what every node has. With `zmq.endpoint`
    the outputs go out there as well, under the name of their topic without the leading slash.
    """

    def __init__(self, **ros: Any) -> None:
        self._zmq: Publisher | None = None
        self._objects: dict[str, tuple[str, Write]] = {}
        super().__init__(
            "processor_node", PluginNodeConfig, PluginNodeConfig.hosted, **{"task": "processor", **ros}
        )

    def setup(self, config: PluginNodeConfig) -> None:
        """Make and open the processor, and listen for subscribers."""
        super().setup(config)
        assert self._hosted is not None
        outputs = self._hosted.outputs
        self._objects = {
            name: (output.type_name, writer(output.type_name))
            for name, output in outputs.items()
            if output.type_name not in cdr.WRITABLE
        }
        topics = {name: self.resolve_topic_name(output.topic).lstrip("/") for name, output in outputs.items()}
        self._zmq = config.zmq.publisher(
            topics,
            waiting=max([WAITING_MESSAGES, *(output.depth for output in outputs.values())]),
            latched={topics[name] for name, output in outputs.items() if output.latched},
        )

    def teardown(self) -> None:
        """Close the processor and withdraw its outputs."""
        publisher, self._zmq = self._zmq, None
        if publisher is not None:
            publisher.close()
        super().teardown()

    def published(self, message: Message) -> None:
        """Publish a result over ZeroMQ too; one without a form of its own as the bytes that ROS has of it."""
        if self._zmq is None:
            return
        if message.topic in self._objects:
            assert self._hosted is not None
            if not (self._zmq.wanted(message.topic) or self._hosted.outputs[message.topic].latched):
                return
            type_name, write = self._objects[message.topic]
            data = write(message.trace.capture_ns, message.frame_id, message.payload)
            message = message.derive(message.topic, Serialised(type_name, data))
        self._zmq.write(message)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Tell subscribers of the outputs that the worker goes round."""
        if self._zmq is not None:
            self._zmq.beat(heartbeat)

    def report(self) -> Report:
        """Return what every host of a processor reports, and what became of subscribers over ZeroMQ."""
        report = super().report()
        if self._zmq is not None:
            report.values |= {f"zmq.{name}": count for name, count in self._zmq.counts.snapshot().items()}
        return report


def main() -> int:
    """Run the node."""
    return run(PluginNode)


if __name__ == "__main__":
    sys.exit(main())
