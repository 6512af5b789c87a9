# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A DEALER socket that stays connected to one server, however often that goes away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import zmq

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.curve import ClientKeys, secure_client
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6, check_endpoint
from lowlat_nodes.transport.zmq.lifeline import Lifeline
from lowlat_nodes.transport.zmq.link import WATCHED, Link
from lowlat_nodes.transport.zmq.options import come_back, probe


@dataclass(frozen=True, slots=True)
class _Connection:
    socket: zmq.Socket[bytes]
    monitor: zmq.Socket[bytes]

    def close(self, linger_ms: int = 0) -> None:
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=linger_ms)


class ServerLink:
    """A socket, whether its connection stands, and a lifeline beside it; for one thread at a time.

    What is sent goes over a connection that stands, or not at all. A server that is cut off or was stopped is
    found out within 0.6 s by its `Lifeline`, and the socket replaced: a connection that was cut may look
    sound for long, and what is in it comes too late.

    Args:
        endpoint: Address of the server; it need not be there yet.
        keys: Keys of CURVE, None for a connection in the clear.
        max_bytes: Largest frame that may come; a larger one breaks the connection.
        sending: How many messages may wait to be sent.
        receiving: How many may wait to be taken.
        wakers: Descriptors that end a wait, too.

    Attributes:
        link: Whether the connection stands, and if not, why.

    Raises:
        ConfigurationError: If the endpoint is none.
    """

    def __init__(
        self,
        endpoint: str,
        keys: ClientKeys | None,
        *,
        max_bytes: int,
        sending: int,
        receiving: int = 1000,
        wakers: Sequence[int] = (),
    ) -> None:
        self.endpoint = check_endpoint(endpoint)
        self.link = Link(self.endpoint, keys)
        self._keys = keys
        self._max_bytes = max_bytes
        self._sending = sending
        self._receiving = receiving
        self._wakers = tuple(wakers)
        self._awaited: int = zmq.POLLIN
        self._lifeline: Lifeline | None = None  # while the link stands
        self._context = zmq.Context()
        try:
            self._connection = self._connect()
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ConfigurationError(f"cannot connect to {endpoint!r}: {error}") from error
        self._watch()

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """Return the socket of the moment."""
        return self._connection.socket

    @property
    def guarded(self) -> bool:
        """Return whether the connection stands, and its lifeline too."""
        return self.link.stands and self._lifeline is not None and self._lifeline.stands

    def follow(self) -> bool:
        """Take note of what happened; return whether the connection broke since the last look."""
        before = self.link.broken
        self._note()
        cut = self._lifeline is not None and self._lifeline.follow()
        if cut or self.link.due:
            anew = self._connect()
            self._connection.close()
            self._connection = anew
            self.link.lost()
            self.link.renewed()
            self._watch()
        if self.link.stands and self._lifeline is None:
            self._lifeline = Lifeline(self._context, self.endpoint, self._keys)
            self._watch()
        elif not self.link.stands and self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
            self._watch()
        return self.link.broken > before

    def wait(self, timeout_ms: int, awaited: int = zmq.POLLIN) -> bool:
        """Wait for the socket, for something to follow or a waker; return False on time-out."""
        if awaited != self._awaited:
            self._awaited = awaited
            self._everything.register(self.socket, awaited)
        return bool(self._everything.poll(timeout_ms))

    def wait_for_event(self, timeout_ms: int) -> bool:
        """Wait for something to follow alone; return False on time-out."""
        return bool(self._events.poll(timeout_ms))

    def close(self, linger_ms: int = 0) -> None:
        """Send what waits to be sent, for so long at most, and disconnect."""
        self._note()  # a monitor that nobody reads holds up libzmq, and with it what comes next
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        self._connection.close(linger_ms)
        self._context.term()

    def _connect(self) -> _Connection:
        socket = self._context.socket(zmq.DEALER)
        connection = _Connection(socket, socket.get_monitor_socket(WATCHED))
        try:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.IMMEDIATE, 1)
            socket.setsockopt(zmq.SNDHWM, self._sending)
            socket.setsockopt(zmq.RCVHWM, self._receiving)
            socket.setsockopt(zmq.MAXMSGSIZE, self._max_bytes)
            come_back(socket)
            probe(socket)
            allow_ipv6(socket, self.endpoint)
            if self._keys is not None:
                secure_client(socket, self._keys)
            socket.connect(self.endpoint)
        except zmq.ZMQError:
            connection.close()
            raise
        return connection

    def _watch(self) -> None:
        """Wait for the sockets that there are now."""
        self._events = zmq.Poller()
        self._everything = zmq.Poller()
        self._awaited = zmq.POLLIN
        self._everything.register(self.socket, zmq.POLLIN)
        for waker in self._wakers:
            self._everything.register(waker, zmq.POLLIN)
        monitors = [self._connection.monitor]
        if self._lifeline is not None:
            monitors.append(self._lifeline.monitor)
        for monitor in monitors:
            self._events.register(monitor, zmq.POLLIN)
            self._everything.register(monitor, zmq.POLLIN)

    def _note(self) -> None:
        monitor = self._connection.monitor
        while int(monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:  # a tenth of the price of a poll
            self.link.note(monitor.recv_multipart())
