# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The insertion task: the fingertip must get into a slot, which shifts, and stay there under pushes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.sim.scene import Stroke
from lowlat_nodes.sim.series import Series
from lowlat_nodes.sim.task import Record, Trial
from lowlat_nodes.stream.errors import ConfigurationError

TEXT: Final = "insert the peg"
SLOT_RGB: Final = (240, 60, 220)
_WALL_M: Final = 0.012


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot around (x, y), open at the end in the direction `angle_rad`.

    The peg is in it while it is at most `depth_m` from its middle along it and `tolerance_m` across it. Walls
    are drawn around that; there is nothing to bump into.
    """

    x_m: float
    y_m: float
    angle_rad: float
    depth_m: float
    tolerance_m: float

    @property
    def shapes(self) -> tuple[Stroke]:
        """The walls: three sides of a rectangle."""
        along = np.array([math.cos(self.angle_rad), math.sin(self.angle_rad)])
        across = np.array([-along[1], along[0]])
        middle = np.array([self.x_m, self.y_m])
        depth = self.depth_m * along
        side = (self.tolerance_m + 0.022 + 0.5 * _WALL_M) * across  # the peg's own radius fits in
        corners = (middle + depth + side, middle - depth + side, middle - depth - side, middle + depth - side)
        return (Stroke(tuple((float(x), float(y)) for x, y in corners), _WALL_M, SLOT_RGB),)

    def holds(self, x_m: float, y_m: float) -> bool:
        """Whether a fingertip there is in the slot."""
        dx, dy = x_m - self.x_m, y_m - self.y_m
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return abs(cos * dx + sin * dy) <= self.depth_m and abs(cos * dy - sin * dx) <= self.tolerance_m


@dataclass(frozen=True, slots=True)
class Insertion:
    """One slot from onset to end: where it is, where to and when it shifts, and how the arm is pushed."""

    id: int
    onset_ns: int
    end_ns: int
    slot: Slot
    shift_ns: int
    shifted: Slot
    push_ns: int
    push_end_ns: int
    push_n: tuple[float, float]


@dataclass(frozen=True)
class InsertionConfig:
    """How insertions are drawn; pairs are ranges, uniform.

    A slot is there for `window_ns`; `shift_after_ns` and `push_after_ns` count from when it appears, `gap_ns`
    from the end of its window to the next one, and `lead_in_ns` to the first; no trial is in step with the
    launches of an episode. A shift leaves the slot's direction as it is.
    """

    slots: int = 10
    window_ns: int = 1_100_000_000
    gap_ns: tuple[int, int] = (100_000_000, 400_000_000)
    lead_in_ns: tuple[int, int] = (500_000_000, 1_300_000_000)
    shift_after_ns: tuple[int, int] = (300_000_000, 400_000_000)
    shift_m: tuple[float, float] = (0.12, 0.22)
    push_after_ns: tuple[int, int] = (150_000_000, 450_000_000)
    push_n: tuple[float, float] = (6.0, 16.0)
    push_for_ns: int = 80_000_000
    jump_m: tuple[float, float] = (0.12, 0.40)
    radius_m: tuple[float, float] = (0.30, 0.60)
    bearing_rad: tuple[float, float] = (0.45, 2.70)
    depth_m: float = 0.03
    tolerance_m: float = 0.012

    def __post_init__(self) -> None:
        for name in (
            "gap_ns",
            "lead_in_ns",
            "shift_after_ns",
            "shift_m",
            "push_after_ns",
            "push_n",
            "jump_m",
            "radius_m",
        ):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ConfigurationError(f"{name}: expected an ordered range from 0 up, got {low}, {high}")
        if self.slots < 1 or self.shift_after_ns[1] >= self.window_ns:
            raise ConfigurationError("expected at least one slot, which shifts within its window")
        if self.push_after_ns[1] + self.push_for_ns > self.window_ns:
            raise ConfigurationError("push_after_ns: expected pushes that end within the window")
        if min(self.depth_m, self.tolerance_m) <= 0 or max(self.jump_m[0], self.shift_m[0]) > 0.5:
            raise ConfigurationError(
                "expected a slot with an inside, and jumps that fit the reachable annulus"
            )


def draw_insertions(config: InsertionConfig, *, seed: int) -> tuple[Insertion, ...]:
    """Draw a series of insertions; the same configuration and seed give the same one."""
    random = np.random.default_rng(seed)
    insertions = []
    onset_ns = int(random.integers(config.lead_in_ns[0], config.lead_in_ns[1] + 1))
    place = np.array([0.0, 0.45])
    for number in range(config.slots):
        first = _draw_place(config, random, place, config.jump_m)
        place = _draw_place(config, random, first, config.shift_m)
        angle = float(random.uniform(-math.pi, math.pi))
        slot = Slot(float(first[0]), float(first[1]), angle, config.depth_m, config.tolerance_m)
        force, direction = float(random.uniform(*config.push_n)), float(random.uniform(-math.pi, math.pi))
        shift_ns = onset_ns + int(random.integers(config.shift_after_ns[0], config.shift_after_ns[1] + 1))
        push_ns = onset_ns + int(random.integers(config.push_after_ns[0], config.push_after_ns[1] + 1))
        insertions.append(
            Insertion(
                number,
                onset_ns,
                onset_ns + config.window_ns,
                slot,
                shift_ns,
                replace(slot, x_m=float(place[0]), y_m=float(place[1])),
                push_ns,
                push_ns + config.push_for_ns,
                (force * math.cos(direction), force * math.sin(direction)),
            )
        )
        onset_ns += config.window_ns + int(random.integers(config.gap_ns[0], config.gap_ns[1] + 1))
    return tuple(insertions)


def _draw_place(
    config: InsertionConfig,
    random: np.random.Generator,
    previous: NDArray[np.float64],
    distance_m: tuple[float, float],
) -> NDArray[np.float64]:
    while True:
        radius = math.sqrt(random.uniform(config.radius_m[0] ** 2, config.radius_m[1] ** 2))
        bearing = random.uniform(*config.bearing_rad)
        place: NDArray[np.float64] = radius * np.array([math.cos(bearing), math.sin(bearing)])
        if distance_m[0] <= float(np.linalg.norm(place - previous)) <= distance_m[1]:
            return place


class EventKind(Enum):
    """What happened to a slot."""

    ON = "on"
    SHIFT = "shift"
    PUSH = "push"
    HIT = "hit"  # the peg has stayed in it for long enough
    MISS = "miss"  # its window is over


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one slot, at the end of the step in which it did."""

    kind: EventKind
    time_ns: int
    insertion: Insertion
    slot: Slot

    def record(self) -> Record:
        """Return it as plain data."""
        return {
            "event": self.kind.value,
            "id": self.insertion.id,
            "x": self.slot.x_m,
            "y": self.slot.y_m,
            "angle": self.slot.angle_rad,
        }


class InsertionTask(Series[Insertion]):
    """Shows slots to a moving fingertip, disturbs it and keeps the score.

    A trial starts with the appearance of its slot, and is done when the fingertip has been in the slot for
    `hold_ns` without a break, within the window.
    """

    def __init__(self, insertions: Sequence[Insertion], *, hold_ns: int = 300_000_000) -> None:
        if hold_ns <= 0 or not insertions:
            raise ConfigurationError(f"expected insertions and a hold of more than 0 ns, got {hold_ns}")
        super().__init__(insertions)
        self._hold_ns = hold_ns
        self._now_ns = -1
        self._inside_ns: int | None = None  # since when the fingertip has been in the slot

    @property
    def text(self) -> str:
        """The instruction."""
        return TEXT

    @property
    def duration_ns(self) -> int:
        """When the last window is over."""
        return self._planned[-1].end_ns

    @property
    def things(self) -> tuple[Slot, ...]:
        """The slot, while one is there."""
        insertion = self.current
        if insertion is None or self._now_ns < insertion.onset_ns:
            return ()
        return (insertion.slot if self._now_ns < insertion.shift_ns else insertion.shifted,)

    @property
    def push_n(self) -> tuple[float, float]:
        """The push under way."""
        insertion = self.current
        if insertion is None or not insertion.push_ns <= self._now_ns < insertion.push_end_ns:
            return 0.0, 0.0
        return insertion.push_n

    @property
    def surprise_ns(self) -> int | None:
        """When the next slot shifts."""
        ahead = (insertion.shift_ns for insertion in self.ahead)
        return next((time_ns for time_ns in ahead if time_ns > self._now_ns), None)

    def advance(self, now_ns: int, tip: ArrayLike) -> list[Event]:
        """Move to a time since the beginning with the fingertip at `tip` [2] in m; return what happened."""
        x, y = np.asarray(tip, dtype=np.float64).tolist()
        insertion, before_ns, self._now_ns = self.current, self._now_ns, now_ns
        if insertion is None or now_ns < insertion.onset_ns:
            return []
        (slot,) = self.things
        events = [
            Event(kind, now_ns, insertion, slot)
            for kind, time_ns in (
                (EventKind.ON, insertion.onset_ns),
                (EventKind.SHIFT, insertion.shift_ns),
                (EventKind.PUSH, insertion.push_ns),
            )
            if before_ns < time_ns <= now_ns
        ]
        if not slot.holds(x, y):
            self._inside_ns = None
        elif self._inside_ns is None:
            self._inside_ns = now_ns
        late = now_ns > insertion.end_ns
        done = self._inside_ns is not None and now_ns - self._inside_ns >= self._hold_ns
        if done or late:
            took_ns = None if late else now_ns - insertion.onset_ns
            self._trials.append(Trial(insertion.id, insertion.onset_ns, now_ns, took_ns))
            self._inside_ns = None
            events.append(Event(EventKind.MISS if late else EventKind.HIT, now_ns, insertion, slot))
        return events

    def fork(self, *, calm: bool) -> InsertionTask:
        """An independent copy in the same state; `calm` leaves the next shift out of it."""
        other = self.copy()
        if calm:
            other._planned = tuple(
                replace(insertion, shifted=insertion.slot)
                if insertion.shift_ns == self.surprise_ns
                else insertion
                for insertion in self._planned
            )
        return other
