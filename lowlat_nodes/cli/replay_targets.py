# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where `lowlat replay --to` sends alerts: ZeroMQ, Kafka, ROS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.kafka.settings import Connection
from lowlat_nodes.transport.kafka.sink import KafkaSink
from lowlat_nodes.transport.zmq.packets import PacketSender

if TYPE_CHECKING:
    from lowlat_nodes.transport.ros.packet_sender import RosPacketSender

FORMS = "tcp://HOST:PORT or ipc:///PATH (ZeroMQ), kafka://HOST:PORT/TOPIC, ros:TOPIC"

_KAFKA, _ROS = "kafka://", "ros:"
_ALERTS = "alerts"
_PATIENCE_S = 10.0
_FLUSH_S = 1.0


class Target(Protocol):
    """Takes packets."""

    def send(self, packet: Packet) -> None:
        """Send a packet, waiting for room for 10 s.

        Raises:
            UndeliveredError: If there is none.
        """
        ...

    def finish(self) -> None:
        """Wait until all that was sent has arrived where the transport can tell, for 10 s without progress.

        Raises:
            UndeliveredError: If it has not.
        """
        ...


@contextlib.contextmanager
def target(url: str, ros_arguments: Sequence[str] = ()) -> Iterator[Target]:
    """Open a target by its URL.

    Args:
        url: One of `FORMS`.
        ros_arguments: What follows `--ros-args` on the command line.

    Raises:
        ConfigurationError: If it is none, or cannot be had.
        MissingExtra: If the library for it is not installed.
    """
    if url.startswith(_KAFKA):
        brokers, _, topic = url.removeprefix(_KAFKA).partition("/")
        if not brokers or not topic:
            raise ConfigurationError(f"--to {url}: expected kafka://HOST:PORT[,HOST:PORT]/TOPIC")
        sink = KafkaSink(Connection(bootstrap=brokers), {_ALERTS: topic})
        with contextlib.closing(sink):
            yield _Kafka(sink)
    elif url.startswith(("tcp://", "ipc://")):
        sender = PacketSender(url)
        with contextlib.closing(sender):
            yield _ZeroMq(sender)
    elif url.startswith(_ROS):
        with _ros(url.removeprefix(_ROS), ros_arguments) as found:
            yield found
    else:
        raise ConfigurationError(f"--to {url}: expected {FORMS}")


@contextlib.contextmanager
def _ros(topic: str, ros_arguments: Sequence[str]) -> Iterator[Target]:
    try:
        from lowlat_nodes.nodes.bag_node import bag_node
        from lowlat_nodes.transport.ros.packet_sender import RosPacketSender
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error
    with (
        bag_node("lowlat_replay", ros_arguments) as node,
        contextlib.closing(RosPacketSender(node, topic)) as sender,
    ):
        yield _Ros(sender)


class _ZeroMq:
    def __init__(self, sender: PacketSender) -> None:
        self._sender = sender

    def send(self, packet: Packet) -> None:
        self._sender.send(packet, _PATIENCE_S)

    def finish(self) -> None:
        """Leave it to the socket, which sends what waits as it is closed."""


class _Kafka:
    def __init__(self, sink: KafkaSink) -> None:
        self._sink = sink

    def send(self, packet: Packet) -> None:
        message = Message(_ALERTS, packet)
        self._patiently(lambda: self._sink.write(message))

    def finish(self) -> None:
        self._patiently(lambda: self._sink.flush(_FLUSH_S))

    def _patiently(self, act: Callable[[], None]) -> None:
        """Try again for as long as brokers confirm something from time to time."""
        confirmed, give_up_s = -1, 0.0
        while (failure := self._fails(act)) is not None:
            before, confirmed = confirmed, self._sink.counts["confirmed"]
            if confirmed != before:
                give_up_s = time.monotonic() + _PATIENCE_S
            elif time.monotonic() > give_up_s:
                raise failure

    @staticmethod
    def _fails(act: Callable[[], None]) -> UndeliveredError | None:
        try:
            act()
        except UndeliveredError as error:
            return error
        return None


class _Ros:
    def __init__(self, sender: RosPacketSender) -> None:
        self._sender = sender

    def send(self, packet: Packet) -> None:
        self._sender.send(packet, _PATIENCE_S)

    def finish(self) -> None:
        self._sender.flush(_PATIENCE_S)
