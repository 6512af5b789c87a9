# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How much one call may cost, asked by code whose cost depends on what it is given."""

from __future__ import annotations

import math
from typing import Protocol


class Bound(Protocol):
    """Says what a call may cost, and is told what it did; thread-safe.

    The cost is any number that is known before the work is done or while it is: boxes, steps, epochs, ms.
    """

    def limit(self, source: str, bucket: str = "") -> float:
        """Return the most that the next call of a source may cost; 0 if it is not to be worked on at all.

        Args:
            source: Whose input it is: a camera, a topic, a client.
            bucket: Shape of the input where that decides the cost.
        """
        ...

    def note(self, cost: float, *, cut: bool, source: str, bucket: str = "") -> None:
        """Take in what a call cost, or would have cost.

        Args:
            cost: Of the whole call, also where it was cut.
            cut: Whether it wanted more than the limit.
            source: As in `limit`.
            bucket: As in `limit`.
        """
        ...


class Unbounded:
    """Lets every call cost what it wants."""

    def limit(self, source: str, bucket: str = "") -> float:  # noqa: ARG002 (the interface)
        """Return infinity."""
        return math.inf

    def note(self, cost: float, *, cut: bool, source: str, bucket: str = "") -> None:
        """Do nothing."""


UNBOUNDED = Unbounded()
