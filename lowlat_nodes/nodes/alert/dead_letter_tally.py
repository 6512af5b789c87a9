# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What could not be dealt with, counted by the kind of the reason and told once for each."""

from __future__ import annotations

import re
from collections.abc import Callable

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.message import Message

MOST_KINDS = 50
"""Kinds that are told apart: a reason may begin with what came from outside."""

OTHER = "other"

_DETAIL = re.compile(r"[^A-Za-z ]")  # where what came begins: numbers, quotes, brackets, lists
_KIND_LENGTH = 60


class DeadLetterTally:
    """A sink for dead letters that counts them and tells the first of each kind.

    Args:
        tell: Called with one line of text, by the thread that writes.
        kept: Whether another sink keeps dead letters.

    Attributes:
        counts: How many there were, by kind.
        newest: Why the newest one is one, empty if there was none.
    """

    def __init__(self, tell: Callable[[str], None], *, kept: bool) -> None:
        self.counts = Counters()
        self.newest = ""
        self._tell = tell
        self._said = "" if kept else " (only counted: no output takes them)"
        self._kinds: set[str] = set()

    def write(self, message: Message) -> None:
        """Count a dead letter."""
        letter = message.payload
        kind = kind_of(letter.reason)
        if kind not in self._kinds:
            if len(self._kinds) < MOST_KINDS:
                self._kinds.add(kind)
                where = f"{letter.packet.origin}: " if letter.packet.origin else ""
                self._tell(f"the first dead letter of its kind{self._said}: {where}{letter.reason}")
            else:
                kind = OTHER
        self.newest = letter.reason
        self.counts.add(kind)

    def close(self) -> None:
        """Keep the counts."""


def kind_of(reason: str) -> str:
    """Return what a reason has in common with others that differ in what came: its first words."""
    return _DETAIL.split(reason, maxsplit=1)[0].strip()[:_KIND_LENGTH] or OTHER
