# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the connection of a socket to its server stands, as the events of its monitor tell."""

from __future__ import annotations

import time

import zmq
from zmq.utils.monitor import parse_monitor_message

WATCHED = (
    zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.DISCONNECTED
    | zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
)
_REFUSALS = {
    zmq.Event.HANDSHAKE_FAILED_AUTH: "it does not let our key in; allow it there",
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "it wants keys and we have none, or the reverse",
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "it has another key than we were told, or is no such server",
}


class Link:
    """The connection of a socket that connects to one server.

    Attributes:
        stands: Whether it is connected, and each side has let the other in.
        since_ns: CLOCK_MONOTONIC time of the last change.
        broken: How many times it broke.
        trouble: Why it does not stand, where that is known.
    """

    def __init__(self) -> None:
        self.stands = False
        self.since_ns = time.monotonic_ns()
        self.broken = 0
        self.trouble = "nobody listens there"

    def note(self, event: list[bytes]) -> None:
        """Take note of an event of the monitor, one of `WATCHED`."""
        kind = zmq.Event(parse_monitor_message(event)["event"])
        if kind == zmq.Event.HANDSHAKE_SUCCEEDED:
            self.stands, self.trouble, self.since_ns = True, "", time.monotonic_ns()
        elif kind in _REFUSALS:
            self.trouble = _REFUSALS[kind]
        elif self.stands:
            self.lost()

    def lost(self) -> None:
        """Note that it broke, or was given up."""
        if self.stands:
            self.stands, self.trouble, self.since_ns = False, "the connection broke", time.monotonic_ns()
            self.broken += 1
