# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Wakes the thread of a socket that waits in a poll."""

from __future__ import annotations

import contextlib
import socket


class Doorbell:
    """A pair of sockets: one end to ring from any thread, the other to poll; neither ever waits."""

    def __init__(self) -> None:
        self._rings, self._hears = socket.socketpair()
        for end in (self._rings, self._hears):
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that is readable once it was rung."""
        return self._hears.fileno()

    def ring(self) -> None:
        """Wake who polls; safe in signal handlers."""
        with contextlib.suppress(OSError):  # full: it will wake up as it is; closed: nobody is there to wake
            self._rings.send(b"\0")

    def answer(self) -> None:
        """Take note of all rings so far."""
        with contextlib.suppress(BlockingIOError):
            self._hears.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        self._rings.close()
        self._hears.close()
