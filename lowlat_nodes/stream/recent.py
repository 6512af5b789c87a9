# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What was seen of late, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable


class Recent:
    """Remembers the newest keys, each once, and forgets the oldest.

    Args:
        most: How many it remembers; with 0 nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: dict[Hashable, None] = {}

    def __contains__(self, key: Hashable) -> bool:
        """Return whether the key is remembered."""
        return key in self._keys

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._keys)

    def add(self, key: Hashable) -> None:
        """Remember a key as the newest."""
        keys = self._keys
        keys.pop(key, None)
        keys[key] = None
        if len(keys) > self._most:
            del keys[next(iter(keys))]
