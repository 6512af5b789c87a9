# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where recorded alerts are sent: ZeroMQ, Kafka, ROS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.kafka.settings import Connection
from lowlat_nodes.transport.kafka.sink import KafkaSink
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys
from lowlat_nodes.transport.zmq.endpoint import check_endpoint
from lowlat_nodes.transport.zmq.packets import PacketSender
from lowlat_nodes.transport.zmq.work_sink import WorkSink

if TYPE_CHECKING:
    from rclpy.node import Node

    from lowlat_nodes.transport.ros.packet_sender import RosPacketSender

FORMS = (
    "tcp://HOST:PORT or ipc:///PATH (ZeroMQ, to who listens there), work:tcp://HOST:PORT (ZeroMQ, listens "
    "there for who takes work, and sends again what is not confirmed), kafka://HOST:PORT/TOPIC, ros:TOPIC"
)

_KAFKA, _ROS, _WORK = "kafka://", "ros:", "work:"
_ALERTS = "alerts"
_FLUSH_S = 1.0
_POLL_S = 0.02
_WAITING = 1000  # alerts that wait for who takes work, some 50 MB

MakeNode = Callable[[], contextlib.AbstractContextManager["Node"]]


class Target(Protocol):
    """Takes packets."""

    @property
    def confirmed(self) -> int | None:
        """Return how many packets are known to have got there; None where the transport cannot tell."""
        ...

    def send(self, packet: Packet) -> None:
        """Send a packet, waiting for room as long as the target was told to.

        Raises:
            UndeliveredError: If there is none; nothing was sent.
        """
        ...

    def finish(self) -> None:
        """Wait until all that was sent has arrived where the transport can tell, while there is progress.

        Raises:
            UndeliveredError: If it has not.
        """
        ...


def check_target(url: str) -> None:
    """Check that a URL is one of `FORMS`.

    Raises:
        ConfigurationError: If it is none.
    """
    if url.startswith(_KAFKA):
        brokers, _, topic = url.removeprefix(_KAFKA).partition("/")
        if brokers and topic:
            return
    elif url.startswith(_ROS):
        if url != _ROS:
            return
    elif url.startswith(("tcp://", "ipc://", f"{_WORK}tcp://", f"{_WORK}ipc://")):
        check_endpoint(url.removeprefix(_WORK))
        return
    raise ConfigurationError(f"to {url}: expected {FORMS}")


@contextlib.contextmanager
def target(
    url: str,
    *,
    patience_s: float,
    linger_s: float,
    client: ClientKeys | None = None,
    server: ServerKeys | None = None,
    node: MakeNode,
) -> Iterator[Target]:
    """Open a target by its URL.

    Args:
        url: One of `FORMS`.
        patience_s: How long it waits for room, or for progress.
        linger_s: How long a socket that is closed goes on to send what waits in it.
        client: Keys of CURVE to connect to who listens.
        server: Keys of CURVE and who may take work.
        node: Makes the node that publishes on a ROS topic.

    Raises:
        ConfigurationError: If it is none, or cannot be had.
        MissingExtra: If the library for it is not installed.
    """
    check_target(url)
    if url.startswith(_KAFKA):
        brokers, _, topic = url.removeprefix(_KAFKA).partition("/")
        with contextlib.closing(KafkaSink(Connection(bootstrap=brokers), {_ALERTS: topic})) as sink:
            yield _Kafka(sink, patience_s)
    elif url.startswith(_WORK):
        endpoint = url.removeprefix(_WORK)
        work = WorkSink(endpoint, _ALERTS, keys=server, window=_WAITING, patience_s=patience_s)
        with contextlib.closing(work):
            yield _Work(work, patience_s)
    elif url.startswith(_ROS):
        with _ros(url.removeprefix(_ROS), node, patience_s) as found:
            yield found
    else:
        sender = PacketSender(url, keys=client)
        try:
            yield _ZeroMq(sender, patience_s)
        finally:
            sender.close(linger_s=linger_s)


@contextlib.contextmanager
def _ros(topic: str, node: MakeNode, patience_s: float) -> Iterator[Target]:
    try:
        from lowlat_nodes.transport.ros.packet_sender import RosPacketSender
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error
    with node() as owner, contextlib.closing(RosPacketSender(owner, topic)) as sender:
        yield _Ros(sender, patience_s)


class _ZeroMq:
    confirmed = None

    def __init__(self, sender: PacketSender, patience_s: float) -> None:
        self._sender = sender
        self._patience_s = patience_s

    def send(self, packet: Packet) -> None:
        self._sender.send(packet, self._patience_s)

    def finish(self) -> None:
        """Leave it to the socket, which sends what waits as it is closed."""


class _Kafka:
    def __init__(self, sink: KafkaSink, patience_s: float) -> None:
        self._sink = sink
        self._patience_s = patience_s

    @property
    def confirmed(self) -> int:
        return self._sink.counts["confirmed"]

    def send(self, packet: Packet) -> None:
        message = Message(_ALERTS, packet)
        _patiently(lambda: self._sink.write(message), self, self._patience_s)

    def finish(self) -> None:
        _patiently(lambda: self._sink.flush(_FLUSH_S), self, self._patience_s)


class _Work:
    def __init__(self, sink: WorkSink, patience_s: float) -> None:
        self._sink = sink
        self._patience_s = patience_s

    @property
    def confirmed(self) -> int:
        return self._sink.counts["finished"]

    def send(self, packet: Packet) -> None:
        give_up_s = time.monotonic() + self._patience_s
        while not self._sink.workers:  # or the first ones would wait here, and count as sent
            if time.monotonic() > give_up_s:
                raise UndeliveredError(
                    f"nobody took work at {self._sink.endpoint} for {self._patience_s:g} s"
                )
            time.sleep(_POLL_S)
        self._sink.write(Message(_ALERTS, packet))

    def finish(self) -> None:
        _patiently(lambda: self._sink.flush(_FLUSH_S), self, self._patience_s)


def _patiently(act: Callable[[], None], where: _Kafka | _Work, patience_s: float) -> None:
    """Try again for as long as something is confirmed from time to time."""
    confirmed, give_up_s = -1, 0.0
    while (failure := failure_of(act)) is not None:
        before, confirmed = confirmed, where.confirmed
        if confirmed != before:
            give_up_s = time.monotonic() + patience_s
        elif time.monotonic() > give_up_s:
            raise failure


def failure_of(act: Callable[[], None]) -> UndeliveredError | None:
    """Do something, and return why it was not delivered; None if it was."""
    try:
        act()
    except UndeliveredError as error:
        return error
    return None


class _Ros:
    confirmed = None

    def __init__(self, sender: RosPacketSender, patience_s: float) -> None:
        self._sender = sender
        self._patience_s = patience_s

    def send(self, packet: Packet) -> None:
        self._sender.send(packet, self._patience_s)

    def finish(self) -> None:
        self._sender.flush(self._patience_s)
