# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest

from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.interception import (
    LINE_Y_M,
    SERVE_Y_M,
    WIDEST_M,
    Ball,
    EventKind,
    Flight,
    FlightConfig,
    InterceptionTask,
    draw_flights,
)
from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.stream.errors import ConfigurationError

MS = 1_000_000
FLIGHT = Flight(0, 100 * MS, 500 * MS, 900 * MS, -0.2, 0.1, -0.15)
AWAY = (0.4, 0.2)


def _run(task: InterceptionTask, tip: object, until_ms: int, step_ms: int = 5) -> list[tuple[EventKind, int]]:
    events = []
    for ms in range(0, until_ms + 1, step_ms):
        events += task.advance(ms * MS, tip)  # type: ignore[arg-type]
    return [(event.kind, event.time_ns) for event in events]


def test_a_seed_names_a_series() -> None:
    assert draw_flights(FlightConfig(), seed=4) == draw_flights(FlightConfig(), seed=4)
    assert draw_flights(FlightConfig(), seed=4) != draw_flights(FlightConfig(), seed=5)


def test_a_series_keeps_its_promises() -> None:
    config = FlightConfig(balls=200)
    flights = draw_flights(config, seed=0)
    assert len(flights) == 200
    for flight in flights:
        assert config.answer_ns[0] <= flight.cross_ns - flight.deflect_ns <= config.answer_ns[1]
        assert config.flight_ns[0] <= flight.cross_ns - flight.serve_ns <= config.flight_ns[1]
        assert config.shift_m[0] <= abs(flight.cross_x_m - flight.aimed_x_m) <= config.shift_m[1]
        assert max(abs(flight.cross_x_m), abs(flight.aimed_x_m)) <= WIDEST_M
        inverse((flight.cross_x_m, LINE_Y_M))  # raises for a place out of reach
    for one, following in itertools.pairwise(flights):
        assert config.gap_ns[0] <= following.serve_ns - one.cross_ns <= config.gap_ns[1]


def test_a_ball_flies_straight_to_the_deflection_and_from_there_on() -> None:
    start, bend, end = (FLIGHT.ball(ms * MS) for ms in (100, 500, 900))
    assert (start.x_m, start.y_m) == pytest.approx((-0.2, SERVE_Y_M))
    assert start.crossing_x_m == pytest.approx(0.1)
    assert (bend.x_m, bend.y_m) == pytest.approx((-0.05, (SERVE_Y_M + LINE_Y_M) / 2))
    assert bend.crossing_x_m == pytest.approx(-0.15)
    assert (end.x_m, end.y_m) == pytest.approx((-0.15, LINE_Y_M))
    for ms in range(100, 890, 10):
        now, later = FLIGHT.ball(ms * MS), FLIGHT.ball((ms + 10) * MS)
        moved = (later.x_m - now.x_m, later.y_m - now.y_m)
        assert moved == pytest.approx((0.01 * now.vx_m_s, 0.01 * now.vy_m_s), abs=1e-9)


def test_a_fingertip_that_waits_at_the_crossing_catches_the_ball() -> None:
    task = InterceptionTask([FLIGHT])
    assert _run(task, (-0.15, LINE_Y_M), 1000) == [
        (EventKind.SERVE, 100 * MS),
        (EventKind.DEFLECT, 500 * MS),
        (EventKind.HIT, 900 * MS),
    ]
    assert task.finished
    assert task.trials[0].completion_ns == 0


def test_a_fingertip_where_the_ball_was_first_aimed_misses() -> None:
    task = InterceptionTask([FLIGHT])
    assert _run(task, (0.1, LINE_Y_M), 1000)[-1] == (EventKind.MISS, 900 * MS)
    assert not task.trials[0].success


def test_what_counts_is_the_instant_of_the_crossing() -> None:
    for at_895, at_905, hit in ((0.03, 0.02, True), (0.04, 0.03, False), (-0.4, 0.4, True)):
        task = InterceptionTask([FLIGHT], tolerance_m=0.025 + 1e-6)
        task.advance(895 * MS, (-0.15 + at_895, LINE_Y_M))
        task.advance(905 * MS, (-0.15 + at_905, LINE_Y_M))
        assert task.trials[0].success is hit


def test_completion_is_the_time_from_the_deflection_to_being_there_for_good() -> None:
    task = InterceptionTask([FLIGHT])
    for ms in range(0, 905, 5):
        there = 600 <= ms < 650 or ms >= 700
        task.advance(ms * MS, (-0.15, LINE_Y_M) if there else AWAY)
    assert task.trials[0].completion_ns == 200 * MS


def test_a_calm_fork_is_spared_the_deflection() -> None:
    task = InterceptionTask([FLIGHT])
    _run(task, AWAY, 400)
    assert task.surprise_ns == 500 * MS
    calm = task.fork(calm=True)
    for each, x_m in ((calm, 0.1), (task, -0.15)):
        each.advance(600 * MS, AWAY)
        assert each.surprise_ns is None
        ball = each.things[-1]
        assert isinstance(ball, Ball)
        assert ball.crossing_x_m == pytest.approx(x_m)


@pytest.mark.sim
def test_one_image_tells_where_the_ball_flies() -> None:
    pytest.importorskip("cv2")
    camera, q = TableCamera(), inverse((0.3, 0.2))
    before, after = (camera.render(q, [FLIGHT.ball(500 * MS - ahead)]) for ahead in (1, 0))
    changed = np.any(before != after, axis=-1)
    assert changed.sum() > 10  # its pointer has turned at once
    assert len(InterceptionTask([FLIGHT]).things) == 1  # no ball before the serve


@pytest.mark.parametrize(
    "wrong", [{"balls": 0}, {"answer_ns": (5, 1)}, {"shift_m": (0.1, 0.9)}, {"flight_ns": (1, 2)}]
)
def test_senseless_series_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        FlightConfig(**wrong)  # type: ignore[arg-type]
