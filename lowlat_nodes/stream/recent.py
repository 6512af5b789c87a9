# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What was seen of late, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable


class Recent:
    """Remembers the newest keys and forgets the oldest.

    Args:
        most: How many it remembers; with 0 nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: set[Hashable] = set()
        self._order: deque[Hashable] = deque()  # the first key of a dict takes ever longer to find

    def __contains__(self, key: Hashable) -> bool:
        """Return whether the key is remembered."""
        return key in self._keys

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._keys)

    def add(self, key: Hashable) -> None:
        """Remember a key; one that is remembered stays as old as it is."""
        if key in self._keys:
            return
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > self._most:
            self._keys.discard(self._order.popleft())
