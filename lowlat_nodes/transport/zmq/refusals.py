# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Why a handshake failed, in words with the remedy, and the log that a flood of them cannot fill."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

LOGGER = logging.getLogger("lowlat_nodes.transport.zmq")

CLIENT_REASONS = {
    zmq.Event.HANDSHAKE_FAILED_AUTH: "it does not let our key in; allow it there",
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "it wants keys and we have none, or the reverse",
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "it has another key than we were told, or is no such server",
}
"""What the client of a server knows of why it does not get in."""

QUIET_NS = 10_000_000_000
"""From one address, the same refusal is told once in this time."""

_ADDRESSES = 256
_BURST = 32  # lines in that time, from all addresses together


@dataclass
class _Told:
    again_ns: int
    more: int = 0


@dataclass
class RefusalLog:
    """Writes warnings to the logger `lowlat_nodes.transport.zmq`, few from each address and few in all.

    Args:
        now_ns: Monotonic time.

    Attributes:
        where: Our end, for the lines.
    """

    now_ns: Callable[[], int] = time.monotonic_ns
    where: str = ""
    _told: OrderedDict[tuple[str, str], _Told] = field(default_factory=OrderedDict)
    _lines: int = 0
    _burst_ends_ns: int = 0

    def tell(self, address: str, kind: str, reason: str) -> bool:
        """Log that somebody was refused, unless that was done just now; return whether it was.

        Args:
            address: Of the other end; it comes from the kernel.
            kind: Of the reason; few.
            reason: A sentence, with what to do.
        """
        now_ns = self.now_ns()
        if now_ns >= self._burst_ends_ns:
            self._lines, self._burst_ends_ns = 0, now_ns + QUIET_NS
        told = self._told.get((address, kind))
        if (told is not None and now_ns < told.again_ns) or self._lines >= _BURST:
            if told is not None:
                told.more += 1
            return False
        more = told.more if told is not None else 0
        self._told[address, kind] = _Told(now_ns + QUIET_NS)
        self._told.move_to_end((address, kind))
        while len(self._told) > _ADDRESSES:
            self._told.popitem(last=False)
        self._lines += 1
        since = f" ({more} more of these since the last line)" if more else ""
        LOGGER.warning("%s: refused %s: %s%s", self.where, address, reason, since)
        return True
