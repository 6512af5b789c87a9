# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the simulated tasks have in common: time and fingertip in, things to see and decided trials out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import ArrayLike

from lowlat_nodes.sim.scene import Thing

Record = dict[str, Any]
"""One event as JSON has it: `event`, and what belongs to that kind of event."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A decided trial of a task.

    Attributes:
        id: Number in the schedule.
        start_ns: When it began to count.
        decided_ns: When it was decided.
        completion_ns: How long after `start_ns` it was done, None for a failure.
    """

    id: int
    start_ns: int
    decided_ns: int
    completion_ns: int | None

    @property
    def success(self) -> bool:
        """Whether it was done."""
        return self.completion_ns is not None


class Event(Protocol):
    """Something that happened in a task."""

    def record(self) -> Record:
        """Return it as plain data."""
        ...


class Task(Protocol):
    """A series of trials, fixed beforehand, that is played with a moving fingertip.

    A *surprise* is a change of the scene that nothing foretells and that the policy must answer.
    """

    @property
    def text(self) -> str:
        """The instruction."""
        ...

    @property
    def size(self) -> int:
        """How many trials the whole series has."""
        ...

    @property
    def duration_ns(self) -> int:
        """When the last trial is decided at the latest."""
        ...

    @property
    def trials(self) -> Sequence[Trial]:
        """The decided trials, in the order in which they were."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        ...

    @property
    def things(self) -> tuple[Thing, ...]:
        """What there is to be seen now."""
        ...

    @property
    def push_n(self) -> tuple[float, float]:
        """The force on the arm's last link now, in N in the table frame."""
        ...

    @property
    def surprise_ns(self) -> int | None:
        """When the next surprise comes, None if none is left."""
        ...

    def advance(self, now_ns: int, tip: ArrayLike) -> Sequence[Event]:
        """Move to a time since the beginning with the fingertip at `tip` [2] in m; return what happened."""
        ...

    def fork(self, *, calm: bool) -> Task:
        """An independent copy in the same state; `calm` leaves the next surprise out of it."""
        ...
