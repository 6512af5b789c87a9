# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Trials that come one after another, as in most of the simulated tasks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from lowlat_nodes.sim.task import Trial

if TYPE_CHECKING:
    from typing_extensions import Self

P = TypeVar("P")


class Series(Generic[P]):
    """The part of a `Task` that is the same wherever one trial begins after the one before was decided.

    Args:
        planned: What each trial is to be, in their order; at least one.
    """

    def __init__(self, planned: Sequence[P]) -> None:
        self._planned = tuple(planned)
        self._trials: list[Trial] = []

    @property
    def size(self) -> int:
        """How many trials the whole series has."""
        return len(self._planned)

    @property
    def trials(self) -> Sequence[Trial]:
        """The decided trials."""
        return tuple(self._trials)

    @property
    def finished(self) -> bool:
        """Whether the last trial is decided."""
        return len(self._trials) == len(self._planned)

    @property
    def ahead(self) -> Sequence[P]:
        """What is not decided yet, the next one first."""
        return self._planned[len(self._trials) :]

    @property
    def current(self) -> P | None:
        """The trial under way, or the next one; None after the last."""
        return next(iter(self.ahead), None)

    def copy(self) -> Self:
        """Return an independent copy in the same state."""
        other = copy.copy(self)
        other._trials = list(self._trials)
        return other
