# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the processor node: which processor it hosts, and what its streams are connected to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lowlat_nodes.nodes import processors
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.bridge.from_bridge import FromBridge
from lowlat_nodes.nodes.processor_node import Hosted
from lowlat_nodes.nodes.zmq_input import ZmqInput
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.config import group, section, setting, untyped
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.mailbox import Batch, Fifo, Mailbox
from lowlat_nodes.stream.processor import TimedProcessor
from lowlat_nodes.transport.ros import Input, Output, message_type
from lowlat_nodes.transport.ros.forms import reader, writer

S = TypeVar("S")
W = TypeVar("W")

_MOST_DEPTH = 1000  # that a topic may be given


@dataclass(frozen=True, kw_only=True)
class MailboxSettings:
    """What waits between the inputs and the processor."""

    kind: str = setting(
        "newest",
        choices=("newest", "fifo", "batch"),
        doc="newest: the newest message of each input; fifo: each message, in the order of receipt; batch: "
        "the same, several at once for process_batch.",
    )
    capacity: int = setting(
        100, low=1, high=100_000, doc="How many messages wait, with fifo and batch; the oldest goes."
    )
    batch: int = setting(16, low=1, high=10_000, doc="Most messages at once, with batch.")
    linger_ms: float = setting(
        10.0,
        unit="ms",
        low=0.0,
        high=60_000.0,
        doc="How long the first message of a batch waits for company.",
    )

    def __post_init__(self) -> None:
        if self.kind == "batch" and self.capacity < self.batch:
            raise ConfigurationError(
                f"mailbox: expected a capacity of at least one batch, got {self.capacity} and {self.batch}"
            )

    def make(self, clock: Clock, max_age_ns: int) -> Mailbox:
        """Return a mailbox that keeps each message; not for the kind `newest`."""
        if self.kind == "batch":
            return Batch(
                clock,
                self.batch,
                self.linger_ms * 1e-3,
                capacity=self.capacity,
                max_age_ns=max_age_ns,
            )
        return Fifo(clock, self.capacity, max_age_ns=max_age_ns)


@dataclass(frozen=True, kw_only=True)
class PluginInput:
    """Where an input of the processor comes from."""

    topic: str = setting("", doc="Topic; empty for the name of the input.")
    type: str = setting(
        "", doc="Message type such as sensor_msgs/msg/Image; needed unless it comes over ZeroMQ."
    )
    reliability: str = setting(
        "auto",
        choices=("auto", "reliable", "best_effort"),
        doc="auto: reliable for images and events whose publishers all offer it, otherwise best effort.",
    )
    depth: int = setting(
        0,
        low=0,
        high=1000,
        doc="How many messages the middleware keeps for this node; 0: one, with fifo and batch as many as "
        "mailbox.capacity says, 1000 at most.",
    )
    max_age_ms: float = setting(
        0.0, unit="ms", low=0.0, high=3_600_000.0, doc="Messages older than this are dropped; 0 keeps all."
    )
    endpoint: str = setting(
        "", doc="ZeroMQ publisher that it comes from instead of ROS; topic is then the one on the wire."
    )
    key: str = setting("", doc="Keys of the node, by name or secret file, where the publisher wants some.")
    server_key: str = setting("", doc="Public key of the publisher, or its name or file; goes with key.")

    def wired(self, stream: str, depth: int) -> Input | ZmqInput:
        """Return what it is to a host.

        Args:
            stream: The processor's name of the input.
            depth: What 0 stands for.

        Raises:
            ConfigurationError: If the type is not known here, or the endpoint is none.
        """
        if self.endpoint:
            return ZmqInput(
                endpoint=self.endpoint,
                topic=self.topic or stream,
                key=self.key,
                server_key=self.server_key,
                max_age_ms=self.max_age_ms,
            )
        if not self.type:
            raise ConfigurationError(
                "expected a type such as sensor_msgs/msg/Image, or an endpoint; got neither"
            )
        message_type(self.type)
        reader(self.type)
        return Input(
            topic=self.topic or stream,
            type_name=self.type,
            reliability=self.reliability,
            depth=self.depth or depth,
            max_age_ms=self.max_age_ms,
        )


@dataclass(frozen=True, kw_only=True)
class PluginOutput:
    """Where an output of the processor goes."""

    topic: str = setting("", doc="Topic; empty for the name of the output.")
    type: str = setting(doc="Message type such as std_msgs/msg/Float64MultiArray.")
    reliability: str = setting("reliable", choices=("reliable", "best_effort"), doc="What is offered.")
    depth: int = setting(
        0,
        low=0,
        high=1000,
        doc="How many messages the middleware keeps for slow readers; 0: as for inputs.",
    )
    latched: bool = setting(
        False, doc="Whether readers that come later get the last message (transient local)."
    )
    on_demand: bool = setting(
        False, doc="Whether nothing is written while nobody listens, for large messages."
    )

    def wired(self, stream: str, depth: int) -> Output:
        """Return what it is to a host.

        Args:
            stream: The processor's name of the output.
            depth: What 0 stands for.

        Raises:
            ConfigurationError: If the type is not known here.
        """
        message_type(self.type)
        writer(self.type)
        return Output(
            topic=self.topic or stream,
            type_name=self.type,
            reliability=self.reliability,
            depth=self.depth or depth,
            latched=self.latched,
            on_demand=self.on_demand,
        )


@dataclass(frozen=True, kw_only=True)
class PluginNodeConfig(NodeSettings):
    """Everything that the processor node can be told."""

    processor: str = setting(
        doc="Name that a package registered (docs/plugins.md), or module:factory of your own."
    )
    parameters: Mapping[str, Any] = untyped(
        doc="What the processor itself is told; lowlat parameters PROCESSOR lists that.",
        typed_by=lambda values: processors.config_type(str(values.get("processor", ""))),
    )
    inputs: Mapping[str, PluginInput] = group(PluginInput, doc="Where its inputs come from, by their names.")
    outputs: Mapping[str, PluginOutput] = group(PluginOutput, doc="Where its outputs go, by their names.")
    mailbox: MailboxSettings = section(MailboxSettings, doc="What waits for it.")
    zmq: ZmqSettings = section(ZmqSettings, doc="Its outputs over ZeroMQ as well.")

    def verify(self) -> None:
        """Make the processor, without opening it, and connect it as the node would.

        Raises:
            ConfigurationError: As `hosted` does.
        """
        self.hosted()

    def hosted(self) -> Hosted:
        """Make the processor and say what it is connected to.

        Raises:
            ConfigurationError: If there is no such processor, it refuses its parameters, or its inputs and
                outputs are others than those that are configured.
        """
        processor = processors.make(self.processor, self.parameters)
        if isinstance(processor, TimedProcessor):
            hint = "; policy_node runs it live" if self.processor == "policy" else ""
            raise ConfigurationError(
                f"processor {self.processor!r}: expected one that works as messages come; this one works "
                f"between them too (`advance`), and only a replay gives it the time{hint}"
            )
        if any(item.endpoint for item in self.inputs.values()):
            processor = FromBridge(processor)
        each = self.mailbox.kind != "newest"
        depth = min(self.mailbox.capacity, _MOST_DEPTH) if each else 1
        return Hosted(
            processor,
            _wired("inputs", processor.inputs, self.inputs, lambda name, item: item.wired(name, depth)),
            _wired("outputs", processor.outputs, self.outputs, lambda name, item: item.wired(name, depth)),
            mailbox=self.mailbox.make if each else None,
        )


def _wired(
    what: str, named: tuple[str, ...], given: Mapping[str, S], wire: Callable[[str, S], W]
) -> dict[str, W]:
    """Return what each stream of a processor is connected to, by its name.

    Args:
        what: inputs or outputs.
        named: The names that the processor gives them; where it gives none, they are those configured.
        given: The settings by plain name.
        wire: Makes the connection of name and settings.
    """
    streams = {processors.parameter_name(stream): stream for stream in named or given}
    for name in given:
        if name not in streams:
            nearest = difflib.get_close_matches(name, streams, 1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has: {', '.join(streams)}"
            raise ConfigurationError(f"{what}.{name}: the processor has none of that name; {hint}")
    for name, stream in streams.items():
        if name not in given:
            raise ConfigurationError(
                f"{what}: expected {what}.{name}.type, the message type of the processor's {stream!r}"
            )

    def connect(name: str) -> W:
        try:
            return wire(streams[name], given[name])
        except LowlatError as error:
            raise ConfigurationError(f"{what}.{name}: {error}") from error

    return {stream: connect(name) for name, stream in streams.items()}
