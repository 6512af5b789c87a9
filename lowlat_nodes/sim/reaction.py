# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The reaction task: lights go on at random places and times and must be touched while they burn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.sim.scene import Disc
from lowlat_nodes.sim.task import Record, Trial
from lowlat_nodes.stream.errors import ConfigurationError

LIGHT_RGB: Final = {"red": (255, 48, 40), "green": (40, 235, 70), "blue": (50, 90, 255)}
COLOURS: Final = tuple(LIGHT_RGB)
LIGHT_RADIUS_M: Final = 0.035

_S = 1_000_000_000


def task_text(colour: str) -> str:
    """The instruction that asks for lights of a colour."""
    return f"touch the {colour} light"


@dataclass(frozen=True)
class Light:
    """A target (`asked`) or a decoy, which burns for `window_ns` from `onset_ns`."""

    id: int
    colour: str
    asked: bool
    x_m: float
    y_m: float
    onset_ns: int
    window_ns: int

    @property
    def shapes(self) -> tuple[Disc, Disc]:
        """A disc of its colour with a bright middle."""
        red, green, blue = LIGHT_RGB[self.colour]
        bright = (min(255, red + 70), min(255, green + 70), min(255, blue + 70))
        return (
            Disc(self.x_m, self.y_m, LIGHT_RADIUS_M, LIGHT_RGB[self.colour]),
            Disc(self.x_m, self.y_m, 0.4 * LIGHT_RADIUS_M, bright),
        )


@dataclass(frozen=True)
class ScheduleConfig:
    """How lights are drawn.

    One light of the asked colour burns at a time. The gap between the end of a target's window and the next
    onset is uniform in `gap_ns`, which keeps onsets at a random phase against cameras and inference. Decoys
    appear within `decoy_jitter_ns` of a target's onset.
    """

    targets: int = 200
    colour: str = "red"
    window_ns: int = 900_000_000
    gap_ns: tuple[int, int] = (250_000_000, 850_000_000)
    lead_in_ns: int = 2_000_000_000
    radius_m: tuple[float, float] = (0.32, 0.60)
    bearing_rad: tuple[float, float] = (0.45, 2.70)
    min_jump_m: float = 0.28
    max_jump_m: float = 0.80
    decoy_share: float = 0.35
    decoy_jitter_ns: int = 300_000_000

    def __post_init__(self) -> None:
        if self.colour not in COLOURS:
            raise ConfigurationError(f"expected a colour of {', '.join(COLOURS)}, got {self.colour!r}")
        if self.targets < 1 or self.window_ns <= 0 or not 0 <= self.gap_ns[0] <= self.gap_ns[1]:
            raise ConfigurationError(
                "expected at least one target, a positive window and an ordered range of gaps"
            )
        if not 0.0 <= self.decoy_share <= 1.0 or self.min_jump_m > 0.5 or self.max_jump_m < self.min_jump_m:
            raise ConfigurationError(
                "expected a decoy share of 0 to 1 and jumps that fit the reachable annulus"
            )


@dataclass(frozen=True)
class Schedule:
    """All lights of a run in order of onset, fixed beforehand: every strategy can be given the same one."""

    task: str
    lights: tuple[Light, ...]
    duration_ns: int

    @property
    def targets(self) -> tuple[Light, ...]:
        """The lights that must be touched."""
        return tuple(light for light in self.lights if light.asked)

    @classmethod
    def generate(cls, config: ScheduleConfig, *, seed: int) -> Schedule:
        """Draw a schedule; the same configuration and seed give the same one."""
        random = np.random.default_rng(seed)
        others = [colour for colour in COLOURS if colour != config.colour]
        lights: list[Light] = []
        onset_ns = config.lead_in_ns
        previous = np.array([0.0, 0.45])
        for _ in range(config.targets):
            place = _draw_place(config, random, previous)
            lights.append(_light(len(lights), config.colour, True, place, onset_ns, config.window_ns))
            if random.random() < config.decoy_share:
                decoy = _draw_place(config, random, place)
                jitter_ns = int(random.integers(-config.decoy_jitter_ns, config.decoy_jitter_ns + 1))
                colour = others[int(random.integers(len(others)))]
                lights.append(
                    _light(len(lights), colour, False, decoy, max(0, onset_ns + jitter_ns), config.window_ns)
                )
            previous = place
            onset_ns += config.window_ns + int(random.integers(config.gap_ns[0], config.gap_ns[1] + 1))
        lights.sort(key=lambda light: (light.onset_ns, light.id))
        return cls(task=task_text(config.colour), lights=tuple(lights), duration_ns=onset_ns)


def targets_within(seconds: float, config: ScheduleConfig, *, seed: int) -> int:
    """Return how many targets a schedule can have that is over in so many seconds; 0 where it is too short.

    Args:
        seconds: From its start to its end.
        config: How lights are drawn; its number of targets does not matter.
        seed: Of the schedule.
    """
    most = int((seconds * _S - config.lead_in_ns) // (config.window_ns + config.gap_ns[0]))
    if most < 1:
        return 0
    longest = Schedule.generate(replace(config, targets=most), seed=seed)
    # A shorter schedule is the beginning of a longer one: it ends where the next target would go on.
    ends_ns = [light.onset_ns for light in longest.targets[1:]] + [longest.duration_ns]
    return sum(end_ns <= seconds * _S for end_ns in ends_ns)


def _light(
    number: int, colour: str, asked: bool, place: NDArray[np.float64], onset_ns: int, window_ns: int
) -> Light:
    return Light(number, colour, asked, float(place[0]), float(place[1]), onset_ns, window_ns)


def _draw_place(
    config: ScheduleConfig, random: np.random.Generator, previous: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A place uniform over the annulus at a bounded distance from the previous one."""
    while True:
        radius = np.sqrt(random.uniform(config.radius_m[0] ** 2, config.radius_m[1] ** 2))
        bearing = random.uniform(*config.bearing_rad)
        place: NDArray[np.float64] = radius * np.array([np.cos(bearing), np.sin(bearing)])
        if config.min_jump_m <= float(np.linalg.norm(place - previous)) <= config.max_jump_m:
            return place


class EventKind(Enum):
    """What happened to a light."""

    ON = "on"
    HIT = "hit"  # an asked light was touched in time
    MISS = "miss"  # an asked light burned out
    WRONG = "wrong"  # a decoy was touched; it keeps burning
    OFF = "off"  # a decoy burned out


@dataclass(frozen=True)
class Event:
    """Something that happened to one light, at the end of the step that brought it about."""

    kind: EventKind
    time_ns: int
    light: Light

    def record(self) -> Record:
        """Return it as plain data."""
        light = self.light
        return {
            "event": self.kind.value,
            "id": light.id,
            "x": light.x_m,
            "y": light.y_m,
            "colour": light.colour,
            "asked": light.asked,
            "window_ns": light.window_ns,
        }


class ReactionTask:
    """Plays a schedule against a moving fingertip and keeps the score.

    A light is touched when the fingertip's path since the last step comes within `touch_radius_m` of its
    centre. An asked light goes off when it is touched or at the end of its window; a decoy burns for its
    whole window.
    """

    def __init__(self, schedule: Schedule, *, touch_radius_m: float = 0.04) -> None:
        if touch_radius_m <= 0:
            raise ConfigurationError(f"expected a positive touch radius in m, got {touch_radius_m}")
        self.schedule = schedule
        self._touch_radius_m = touch_radius_m
        self._next = 0
        self._burning: list[Light] = []
        self._touched_decoys: set[int] = set()
        self._tip: NDArray[np.float64] | None = None
        self._trials: list[Trial] = []

    @property
    def text(self) -> str:
        """The instruction."""
        return self.schedule.task

    @property
    def size(self) -> int:
        """How many targets there are."""
        return len(self.schedule.targets)

    @property
    def duration_ns(self) -> int:
        """When the last target is decided at the latest."""
        return self.schedule.duration_ns

    @property
    def things(self) -> tuple[Light, ...]:
        """The lights that are on now."""
        return tuple(self._burning)

    @property
    def push_n(self) -> tuple[float, float]:
        """Nothing pushes the arm."""
        return 0.0, 0.0

    @property
    def trials(self) -> Sequence[Trial]:
        """The decided targets; one is done when it is touched."""
        return tuple(self._trials)

    @property
    def surprise_ns(self) -> int | None:
        """The onset of the next target."""
        ahead = (light.onset_ns for light in self.schedule.lights[self._next :] if light.asked)
        return next(ahead, None)

    @property
    def finished(self) -> bool:
        """Whether every light of the schedule has come and gone."""
        return self._next == len(self.schedule.lights) and not self._burning

    @property
    def hits(self) -> int:
        """How many targets were touched in time."""
        return sum(trial.success for trial in self._trials)

    @property
    def misses(self) -> int:
        """How many targets burned out."""
        return len(self._trials) - self.hits

    @property
    def hit_rate(self) -> float:
        """Hits per decided target; 0.0 before the first is decided."""
        return self.hits / len(self._trials) if self._trials else 0.0

    def advance(self, now_ns: int, tip: ArrayLike) -> list[Event]:
        """Move to a time since the schedule's start with the fingertip at `tip` [2] in m; return the events.

        A light that burns out is judged before a touch in the same step, so a touch never counts late.
        """
        here = np.asarray(tip, dtype=np.float64)
        before = here if self._tip is None else self._tip
        self._tip = here
        events: list[Event] = []
        still: list[Light] = []
        for light in self._burning:
            kind = self._judge(light, now_ns, before, here)
            if kind is not None:
                events.append(Event(kind, now_ns, light))
            if kind in (EventKind.HIT, EventKind.MISS):
                took_ns = now_ns - light.onset_ns if kind is EventKind.HIT else None
                self._trials.append(Trial(light.id, light.onset_ns, now_ns, took_ns))
            if kind in (None, EventKind.WRONG):
                still.append(light)
        self._burning = still
        lights = self.schedule.lights
        while self._next < len(lights) and lights[self._next].onset_ns <= now_ns:
            events.append(Event(EventKind.ON, now_ns, lights[self._next]))
            self._burning.append(lights[self._next])
            self._next += 1
        return events

    def fork(self, *, calm: bool) -> ReactionTask:
        """An independent copy in the same state; `calm` leaves the next target out of it."""
        other = copy.copy(self)
        other._burning = list(self._burning)
        other._touched_decoys = set(self._touched_decoys)
        other._trials = list(self._trials)
        if calm:
            coming = next(light for light in self.schedule.lights[self._next :] if light.asked)
            lights = tuple(light for light in self.schedule.lights if light is not coming)
            other.schedule = replace(self.schedule, lights=lights)
        return other

    def _judge(
        self, light: Light, now_ns: int, before: NDArray[np.float64], here: NDArray[np.float64]
    ) -> EventKind | None:
        if now_ns > light.onset_ns + light.window_ns:
            return EventKind.MISS if light.asked else EventKind.OFF
        centre = np.array([light.x_m, light.y_m])
        if _distance_to_path(centre, before, here) > self._touch_radius_m:
            return None
        if light.asked:
            return EventKind.HIT
        if light.id in self._touched_decoys:
            return None
        self._touched_decoys.add(light.id)
        return EventKind.WRONG


def _distance_to_path(
    point: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> float:
    path = end - start
    length2 = float(path @ path)
    along = 0.0 if length2 == 0.0 else min(1.0, max(0.0, float((point - start) @ path) / length2))
    return float(np.linalg.norm(point - (start + along * path)))
