# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When to make a connection anew that stands, and over which nothing comes."""

from __future__ import annotations

_RAREST_NS = 5_000_000_000


class Doubt:
    """Counts on the next heartbeat, and asks for a new connection where it does not come.

    TCP takes a connection whose other end was cut off for alive, for hours if nothing is sent. A new one
    helps if that is what happened, and does not if the process at the other end hangs: it is asked for ever
    more rarely, every 5 s in the end, until something comes.
    """

    def __init__(self) -> None:
        self._asked_ns = 0
        self._wait_ns = 0

    def due(self, now_ns: int, *, heard_ns: int, stands_ns: int, patience_ns: int) -> bool:
        """Return whether the connection is to be made anew, and count on it that it will.

        Args:
            now_ns: The present time.
            heard_ns: When anything came last.
            stands_ns: Since when the connection stands; 0 if it does not, as it is being made then.
            patience_ns: For how long nothing may come; 0 for ever.
        """
        if not stands_ns or not patience_ns:
            return False
        if heard_ns > self._asked_ns:
            self._wait_ns = 0
        wait_ns = max(self._wait_ns, patience_ns)
        if now_ns - max(heard_ns, stands_ns) <= wait_ns:
            return False
        self._asked_ns = now_ns
        self._wait_ns = min(2 * wait_ns, _RAREST_NS)
        return True
