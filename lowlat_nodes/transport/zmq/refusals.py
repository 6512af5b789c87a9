# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The log of handshakes that failed, which a flood of them cannot fill."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

LOGGER = logging.getLogger("lowlat_nodes.transport.zmq")

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

    def server(self, address: str, kind: str, reason: str) -> None:
        """Log that we refused somebody, unless that was done just now.

        Args:
            address: Of the other end; it comes from the kernel.
            kind: Of the reason; few.
            reason: A sentence, with what to do.
        """
        self._tell((address, kind), f"{self.where}: refused {address}: {reason}")

    def client(self, endpoint: str, kind: str, reason: str) -> None:
        """Log that a server refused us, or we it, unless that was done just now."""
        self._tell((endpoint, kind), f"no connection to {endpoint}: {reason}")

    def _tell(self, who: tuple[str, str], line: str) -> None:
        now_ns = self.now_ns()
        if now_ns >= self._burst_ends_ns:
            self._lines, self._burst_ends_ns = 0, now_ns + QUIET_NS
        told = self._told.get(who)
        if (told is not None and now_ns < told.again_ns) or self._lines >= _BURST:
            if told is not None:
                told.more += 1
            return
        more = told.more if told is not None else 0
        self._told[who] = _Told(now_ns + QUIET_NS)
        self._told.move_to_end(who)
        while len(self._told) > _ADDRESSES:
            self._told.popitem(last=False)
        self._lines += 1
        since = f" ({more} more of these since the last line)" if more else ""
        LOGGER.warning("%s%s", line, since)
