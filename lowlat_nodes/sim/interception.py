# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The interception task: balls are deflected in flight and must be met where they cross a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from lowlat_nodes.sim.scene import Disc, Stroke
from lowlat_nodes.sim.series import Series
from lowlat_nodes.sim.task import Record, Trial
from lowlat_nodes.stream.errors import ConfigurationError

TEXT: Final = "catch the ball"
SERVE_Y_M: Final = 0.74
LINE_Y_M: Final = 0.34
WIDEST_M: Final = 0.40  # balls cross the line within this of its middle; the arm reaches further
BALL_RGB: Final = (255, 170, 30)
_POINTER_S: Final = 0.15


@dataclass(frozen=True, slots=True)
class Ball:
    """A ball in flight.

    One image must tell where it flies, as the streak of a long exposure would: it is drawn with a pointer
    along its velocity, as long as what it will fly in 150 ms.
    """

    x_m: float
    y_m: float
    vx_m_s: float
    vy_m_s: float

    @property
    def shapes(self) -> tuple[Stroke, Disc]:
        """A disc and its pointer."""
        ahead = (self.x_m + _POINTER_S * self.vx_m_s, self.y_m + _POINTER_S * self.vy_m_s)
        return (
            Stroke(((self.x_m, self.y_m), ahead), 0.014, BALL_RGB),
            Disc(self.x_m, self.y_m, 0.026, BALL_RGB),
        )

    @property
    def crossing_x_m(self) -> float:
        """Where it will cross the line if nothing deflects it."""
        return self.x_m + (LINE_Y_M - self.y_m) * self.vx_m_s / self.vy_m_s


@dataclass(frozen=True, slots=True)
class CrossingLine:
    """The line at which balls are met."""

    @property
    def shapes(self) -> tuple[Stroke]:
        """A thin line across the table."""
        return (Stroke(((-WIDEST_M, LINE_Y_M), (WIDEST_M, LINE_Y_M)), 0.008, (210, 200, 190)),)


@dataclass(frozen=True, slots=True)
class Flight:
    """A ball from its serve at `SERVE_Y_M` to the line, which it reaches at `cross_ns` whatever happens.

    It makes for `aimed_x_m` on the line until `deflect_ns`, and for `cross_x_m` from then on.
    """

    id: int
    serve_ns: int
    deflect_ns: int
    cross_ns: int
    serve_x_m: float
    aimed_x_m: float
    cross_x_m: float

    def ball(self, now_ns: int) -> Ball:
        """The ball at a time between serve and crossing."""
        whole_s = (self.cross_ns - self.serve_ns) * 1e-9
        vx, vy = (self.aimed_x_m - self.serve_x_m) / whole_s, (LINE_Y_M - SERVE_Y_M) / whole_s
        x = self.serve_x_m + vx * (min(now_ns, self.deflect_ns) - self.serve_ns) * 1e-9
        if now_ns >= self.deflect_ns:
            vx = (self.cross_x_m - x) / ((self.cross_ns - self.deflect_ns) * 1e-9)
            x += vx * (now_ns - self.deflect_ns) * 1e-9
        return Ball(x, SERVE_Y_M + vy * (now_ns - self.serve_ns) * 1e-9, vx, vy)


@dataclass(frozen=True)
class FlightConfig:
    """How flights are drawn; pairs are ranges, uniform.

    `answer_ns` is the time from the deflection to the crossing, `shift_m` how far the deflection moves the
    crossing, and `gap_ns` the time from a crossing to the next serve. `lead_in_ns` is the time to the first
    serve; it is random too, so that no trial is in step with the launches of an episode.
    """

    balls: int = 10
    flight_ns: tuple[int, int] = (750_000_000, 950_000_000)
    answer_ns: tuple[int, int] = (320_000_000, 500_000_000)
    gap_ns: tuple[int, int] = (150_000_000, 450_000_000)
    lead_in_ns: tuple[int, int] = (500_000_000, 1_300_000_000)
    shift_m: tuple[float, float] = (0.18, 0.32)

    def __post_init__(self) -> None:
        for name, (low, high) in (
            ("flight_ns", self.flight_ns),
            ("answer_ns", self.answer_ns),
            ("gap_ns", self.gap_ns),
            ("lead_in_ns", self.lead_in_ns),
            ("shift_m", self.shift_m),
        ):
            if not 0 < low <= high:
                raise ConfigurationError(f"{name}: expected an ordered range above 0, got {low}, {high}")
        if self.balls < 1 or self.answer_ns[1] >= self.flight_ns[0]:
            raise ConfigurationError("expected at least one ball, which is deflected after its serve")
        if self.shift_m[1] > WIDEST_M:
            raise ConfigurationError(f"shift_m: expected at most {WIDEST_M} m, got {self.shift_m[1]}")


def draw_flights(config: FlightConfig, *, seed: int) -> tuple[Flight, ...]:
    """Draw a series of flights; the same configuration and seed give the same one."""
    random = np.random.default_rng(seed)
    flights = []
    serve_ns = int(random.integers(config.lead_in_ns[0], config.lead_in_ns[1] + 1))
    for number in range(config.balls):
        cross_ns = serve_ns + int(random.integers(config.flight_ns[0], config.flight_ns[1] + 1))
        deflect_ns = cross_ns - int(random.integers(config.answer_ns[0], config.answer_ns[1] + 1))
        serve_x, aimed_x = (float(x) for x in random.uniform(-WIDEST_M, WIDEST_M, 2))
        shift = float(random.uniform(*config.shift_m)) * (1.0 if random.random() < 0.5 else -1.0)
        if abs(aimed_x + shift) > WIDEST_M:
            shift = -shift
        flights.append(Flight(number, serve_ns, deflect_ns, cross_ns, serve_x, aimed_x, aimed_x + shift))
        serve_ns = cross_ns + int(random.integers(config.gap_ns[0], config.gap_ns[1] + 1))
    return tuple(flights)


class EventKind(Enum):
    """What happened to a ball."""

    SERVE = "serve"
    DEFLECT = "deflect"
    HIT = "hit"  # the fingertip was there when the ball crossed the line
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one ball, at the end of the step in which it did."""

    kind: EventKind
    time_ns: int
    flight: Flight

    def record(self) -> Record:
        """Return it as plain data."""
        flight = self.flight
        return {
            "event": self.kind.value,
            "id": flight.id,
            "x": flight.aimed_x_m if self.kind is EventKind.SERVE else flight.cross_x_m,
            "y": LINE_Y_M,
            "cross_in_ns": flight.cross_ns - self.time_ns,
        }


class InterceptionTask(Series[Flight]):
    """Flies balls at a moving fingertip and keeps the score.

    A ball is met when the fingertip is within `tolerance_m` of the place where it crosses the line, at the
    instant when it does (the fingertip moves straight between two steps). A trial starts with the
    deflection; it was done when the fingertip came within the tolerance to stay there.
    """

    def __init__(self, flights: Sequence[Flight], *, tolerance_m: float = 0.025) -> None:
        if tolerance_m <= 0 or not flights:
            raise ConfigurationError(f"expected flights and a tolerance above 0 m, got {tolerance_m}")
        super().__init__(flights)
        self._tolerance_m = tolerance_m
        self._now_ns = -1
        self._tip = (math.nan, math.nan)
        self._there_ns: int | None = None  # since when the fingertip has been where the ball will cross

    @property
    def text(self) -> str:
        """The instruction."""
        return TEXT

    @property
    def duration_ns(self) -> int:
        """When the last ball crosses the line."""
        return self._planned[-1].cross_ns

    @property
    def things(self) -> tuple[CrossingLine | Ball, ...]:
        """The line, and the ball while one flies."""
        flight = self.current
        if flight is None or self._now_ns < flight.serve_ns:
            return (CrossingLine(),)
        return CrossingLine(), flight.ball(self._now_ns)

    @property
    def push_n(self) -> tuple[float, float]:
        """Nothing pushes the arm."""
        return 0.0, 0.0

    @property
    def surprise_ns(self) -> int | None:
        """When the next ball is deflected."""
        ahead = (flight.deflect_ns for flight in self.ahead)
        return next((time_ns for time_ns in ahead if time_ns > self._now_ns), None)

    def advance(self, now_ns: int, tip: ArrayLike) -> list[Event]:
        """Move to a time since the beginning with the fingertip at `tip` [2] in m; return what happened."""
        x, y = np.asarray(tip, dtype=np.float64).tolist()
        events: list[Event] = []
        flight = self.current
        if flight is not None:
            events += [
                Event(kind, now_ns, flight)
                for kind, time_ns in (
                    (EventKind.SERVE, flight.serve_ns),
                    (EventKind.DEFLECT, flight.deflect_ns),
                )
                if self._now_ns < time_ns <= now_ns
            ]
            if now_ns >= flight.cross_ns:
                events.append(self._judge(flight, now_ns, (x, y)))
            elif math.hypot(x - flight.cross_x_m, y - LINE_Y_M) > self._tolerance_m:
                self._there_ns = None
            elif self._there_ns is None:
                self._there_ns = now_ns
        self._now_ns, self._tip = now_ns, (x, y)
        return events

    def fork(self, *, calm: bool) -> InterceptionTask:
        """An independent copy in the same state; `calm` leaves the next deflection out of it."""
        other = self.copy()
        if calm:
            other._planned = tuple(
                replace(flight, cross_x_m=flight.aimed_x_m)
                if flight.deflect_ns == self.surprise_ns
                else flight
                for flight in self._planned
            )
        return other

    def _judge(self, flight: Flight, now_ns: int, tip: tuple[float, float]) -> Event:
        before = self._tip if self._now_ns >= 0 else tip
        share = (flight.cross_ns - self._now_ns) / max(1, now_ns - self._now_ns)
        x, y = (a + share * (b - a) for a, b in zip(before, tip, strict=True))
        hit = math.hypot(x - flight.cross_x_m, y - LINE_Y_M) <= self._tolerance_m
        there_ns = flight.cross_ns if self._there_ns is None else self._there_ns
        took_ns = max(0, there_ns - flight.deflect_ns) if hit else None
        self._trials.append(Trial(flight.id, flight.deflect_ns, now_ns, took_ns))
        self._there_ns = None
        return Event(EventKind.HIT if hit else EventKind.MISS, now_ns, flight)
