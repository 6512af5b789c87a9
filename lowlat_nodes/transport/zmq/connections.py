# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who is connected to a listening socket, as its monitor and the kernel tell."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from lowlat_nodes.transport.zmq.ipc import peer_of
from lowlat_nodes.transport.zmq.options import HANDSHAKE_MS

WATCHED = (
    zmq.Event.ACCEPTED
    | zmq.Event.ACCEPT_FAILED
    | zmq.Event.DISCONNECTED
    | zmq.Event.CLOSED
    | zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
)

UNKNOWN = "an unknown address"

_FAILURES = {
    int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): "keys",
    int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): "cryptography",
}
_SETTLED_NS = 2 * HANDSHAKE_MS * 1_000_000  # by then a handshake has succeeded or failed


@dataclass(frozen=True)
class Refused:
    """A connection that did not get in.

    Attributes:
        address: Of the peer.
        kind: `keys` (one end has keys and the other has none), `cryptography` (another server key, or a
            replay), `protocol` (no ZMTP 3, or a violation of it), `silence` (no handshake in time), `hung up`
            (during the handshake).
    """

    address: str
    kind: str


@dataclass
class _Connection:
    address: str
    ends: tuple[Any, Any] | None
    since_ns: int


class Connections:
    """Connections of one listening socket; for one thread.

    Events of failure carry no address, but the thread of libzmq that sends them goes on to disconnect, which
    carries the descriptor. A peer that does not speak ZMTP 3 causes no event of failure: it is known by
    a connection that ends while it is young and nobody's handshake has succeeded.

    Args:
        now_ns: Monotonic time.
    """

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._open: dict[int, _Connection] = {}
        self._failing = ""
        self._denied = 0
        self._proven = 0  # handshakes of young connections that succeeded

    def __len__(self) -> int:
        return len(self._open)

    def follow(self, event: zmq.Event, value: int) -> Refused | None:
        """Take note of an event of the monitor; return who has not got in by it, if anybody."""
        if event == zmq.Event.ACCEPTED:
            self._open[value] = _connection(value, self._now_ns())
        elif event == zmq.Event.HANDSHAKE_SUCCEEDED:
            self._proven += 1
        elif event == zmq.Event.HANDSHAKE_FAILED_AUTH:
            self._denied += 1
        elif event == zmq.Event.HANDSHAKE_FAILED_PROTOCOL:
            self._failing = _FAILURES.get(value, "protocol")
        elif event == zmq.Event.HANDSHAKE_FAILED_NO_DETAIL:
            self._failing = "silence" if value == errno.EAGAIN else "hung up"
        elif event in (zmq.Event.DISCONNECTED, zmq.Event.CLOSED) and value in self._open:
            return self._ended(value)
        return None

    def address(self, descriptor: int) -> str:
        """Return the address of a peer."""
        return self._open[descriptor].address if descriptor in self._open else UNKNOWN

    def drop(self, descriptor: int | None = None) -> int:
        """Cut a connection, or all of them; return how many."""
        chosen = list(self._open) if descriptor is None else [descriptor]
        return sum(_cut(number, self._open[number]) for number in chosen if number in self._open)

    def _ended(self, descriptor: int) -> Refused | None:
        settled_ns = self._now_ns() - _SETTLED_NS
        young = sum(connection.since_ns > settled_ns for connection in self._open.values())
        self._proven = min(self._proven, young)
        self._denied = min(self._denied, young)
        connection = self._open.pop(descriptor)
        kind, self._failing = self._failing, ""
        if kind:
            return Refused(connection.address, kind)
        if connection.since_ns <= settled_ns:
            return None
        if self._denied:  # that was told as its key was
            self._denied -= 1
            return None
        if self._proven == 0:
            return Refused(connection.address, "protocol")
        if self._proven == young:
            self._proven -= 1
        return None


def connection_of(frame: zmq.Frame) -> int:
    """Return the descriptor over which a message came, 0 if it did not come over one."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return 0


def hang_up(descriptor: int, endpoint: str) -> str:
    """Cut a connection to a listening socket; libzmq sees the end and cleans up.

    Args:
        descriptor: Of the connection, once.
        endpoint: Where the socket listens.

    Returns:
        Who was connected; empty if the descriptor does not stand for a connection there any more.
    """
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as handle:
        name = handle.getsockname()
        here = f"ipc://{name}" if handle.family == socket.AF_UNIX else f":{name[1]}"
        if endpoint.endswith(here):
            address = _address(handle)
            handle.shutdown(socket.SHUT_RDWR)
            return address
    return ""


def _address(handle: socket.socket) -> str:
    """Return who is at the other end, in words."""
    return peer_of(handle) if handle.family == socket.AF_UNIX else str(handle.getpeername()[0])


def _connection(descriptor: int, now_ns: int) -> _Connection:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as handle:
        ends = (handle.getsockname(), handle.getpeername())
        return _Connection(_address(handle), ends, now_ns)
    return _Connection(UNKNOWN, None, now_ns)  # it has ended before we could look


def _cut(descriptor: int, connection: _Connection) -> bool:
    """Shut a connection down if the descriptor still stands for it; libzmq sees the end and cleans up."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as handle:
        if connection.ends == (handle.getsockname(), handle.getpeername()):
            handle.shutdown(socket.SHUT_RDWR)
            return True
    return False
