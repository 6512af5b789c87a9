# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the connection of a socket to its server stands, as the events of its monitor tell."""

from __future__ import annotations

import contextlib
import time

import zmq
from zmq.utils.monitor import parse_monitor_message

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.refusals import RefusalLog

WATCHED = (
    zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.DISCONNECTED
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
)

_AGAIN_NS = 500_000_000  # after a refusal, which people lift
_GIVEN_UP_NS = 3_000_000_000  # after a break: libzmq connects and shakes hands in less, if it does at all


class Link:
    """The connection of a socket that connects to one server; for one thread.

    Where the server refuses us, the log has the reason too. libzmq takes most refusals for final, and a frame
    beyond ZMQ_MAXMSGSIZE, after which it does not connect again: see `due`.

    Args:
        endpoint: Of the server.
        keys: Ours, if we have any.

    Attributes:
        stands: Whether it is connected, and each side has let the other in.
        since_ns: CLOCK_MONOTONIC time of the last change.
        broken: How many times it broke.
        refused: How many times the server did not let us in.
        trouble: Why it does not stand, where that is known.
    """

    def __init__(self, endpoint: str, keys: ClientKeys | None) -> None:
        self.stands = False
        self.since_ns = time.monotonic_ns()
        self.broken = 0
        self.refused = 0
        self.trouble = "nobody listens there"
        self._endpoint = endpoint
        self._keys = keys
        self._log = RefusalLog()
        self._again_ns = 0

    def note(self, event: list[bytes]) -> None:
        """Take note of an event of the monitor, one of `WATCHED`."""
        kind = zmq.Event(parse_monitor_message(event)["event"])
        if kind == zmq.Event.HANDSHAKE_SUCCEEDED:
            self.stands, self.trouble, self.since_ns = True, "", time.monotonic_ns()
            self._again_ns = 0
        elif kind != zmq.Event.DISCONNECTED:
            self.trouble = self._reason(kind)
            self.refused += 1
            self._log.client(self._endpoint, kind.name or "", self.trouble)
            if kind != zmq.Event.HANDSHAKE_FAILED_NO_DETAIL:
                self._again_ns = time.monotonic_ns() + _AGAIN_NS
        elif self.stands:
            self.lost()

    def lost(self) -> None:
        """Note that it broke, or was given up."""
        if self.stands:
            self.stands, self.trouble, self.since_ns = False, "the connection broke", time.monotonic_ns()
            self.broken += 1
            self._again_ns = self.since_ns + _GIVEN_UP_NS

    @property
    def due(self) -> bool:
        """Return whether to connect anew, as libzmq may have given up and the server may let us in by now."""
        return 0 < self._again_ns <= time.monotonic_ns()

    def renewed(self) -> None:
        """Note that the socket was told to connect anew."""
        self._again_ns = 0

    def _reason(self, kind: zmq.Event) -> str:
        if kind == zmq.Event.HANDSHAKE_FAILED_AUTH and self._keys is not None:
            ours = self._keys.pair.public
            return f"it does not let our key in; where it runs: lowlat keys allow NAME '{ours}'"
        if kind == zmq.Event.HANDSHAKE_FAILED_PROTOCOL:
            if self._keys is None:
                return "it wants keys and we have none; lowlat keys new NAME makes some"
            return "we have keys and it has none"
        return "it has another key than we were told, or is no such server"


class Connector:
    """Connects a socket to one server, and again where libzmq has given up; for the thread of the socket.

    Args:
        socket: Not connected yet; its options are set, those of keys included.
        endpoint: Of the server; it need not be there yet.
        keys: Ours, if we have any.

    Attributes:
        link: Whether the connection stands.

    Raises:
        ConfigurationError: If the endpoint has no address.
    """

    def __init__(self, socket: zmq.Socket[bytes], endpoint: str, keys: ClientKeys | None) -> None:
        self.link = Link(endpoint, keys)
        self._socket = socket
        self._endpoint = endpoint
        self._monitor = socket.get_monitor_socket(WATCHED)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigurationError(f"cannot connect to {endpoint!r}: {error}") from error

    @property
    def trouble(self) -> str:
        """Return why the connection does not stand, with the endpoint; empty if it does, or did not begin."""
        return f"{self._endpoint}: {self.link.trouble}" if self.link.trouble else ""

    def follow(self) -> None:
        """Take note of what happened, and connect anew if that is due; to be called often."""
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self.link.note(self._monitor.recv_multipart())
        if self.link.due:
            self.link.renewed()
            with contextlib.suppress(zmq.ZMQError):  # libzmq may have forgotten it
                self._socket.disconnect(self._endpoint)
            self._socket.connect(self._endpoint)

    def close(self) -> None:
        """Let go of the monitor; the socket stays."""
        # A monitor that nobody reads holds up libzmq, and with it what comes next.
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._monitor.recv_multipart()
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
