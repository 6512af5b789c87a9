# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.environment import Environment
from lowlat_nodes.sim.insertion import (
    EventKind,
    Insertion,
    InsertionConfig,
    InsertionTask,
    Slot,
    draw_insertions,
)
from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.stream.errors import ConfigurationError

MS = 1_000_000
SLOT = Slot(0.2, 0.4, 0.5, 0.03, 0.012)
SHIFTED = Slot(0.3, 0.4, 0.5, 0.03, 0.012)
ONE = Insertion(0, 100 * MS, 1200 * MS, SLOT, 450 * MS, SHIFTED, 300 * MS, 380 * MS, (15.0, 0.0))
Place = tuple[float, float]
AWAY = (0.0, 0.3)


def _run(task: InsertionTask, tip: Callable[[int], Place], until_ms: int) -> list[tuple[EventKind, int]]:
    events = []
    for ms in range(0, until_ms + 1, 5):
        events += task.advance(ms * MS, tip(ms))
    return [(event.kind, event.time_ns // MS) for event in events]


def test_a_seed_names_a_series() -> None:
    assert draw_insertions(InsertionConfig(), seed=4) == draw_insertions(InsertionConfig(), seed=4)
    assert draw_insertions(InsertionConfig(), seed=4) != draw_insertions(InsertionConfig(), seed=5)


def test_a_series_keeps_its_promises() -> None:
    config = InsertionConfig(slots=200)
    series = draw_insertions(config, seed=0)
    assert len(series) == 200
    for one in series:
        inverse([(slot.x_m, slot.y_m) for slot in (one.slot, one.shifted)])  # raises out of reach
        shift_m = math.hypot(one.shifted.x_m - one.slot.x_m, one.shifted.y_m - one.slot.y_m)
        assert config.shift_m[0] <= shift_m <= config.shift_m[1]
        assert config.push_n[0] <= math.hypot(*one.push_n) <= config.push_n[1]
        assert one.onset_ns < one.push_ns < one.push_end_ns <= one.end_ns
        assert one.onset_ns < one.shift_ns < one.end_ns
    for one, following in itertools.pairwise(series):
        assert following.onset_ns > one.end_ns


def test_a_slot_is_narrow_across_and_deep_along() -> None:
    slot = Slot(0.1, 0.4, math.pi / 2, 0.03, 0.012)
    assert slot.holds(0.1, 0.429)
    assert slot.holds(0.111, 0.4)
    assert not slot.holds(0.1, 0.431)
    assert not slot.holds(0.113, 0.4)


def test_a_peg_that_follows_the_shift_and_stays_is_in() -> None:
    task = InsertionTask([ONE], hold_ns=300 * MS)
    events = _run(task, lambda ms: (0.2, 0.4) if 200 <= ms < 470 else (0.3, 0.4), 1300)
    assert events == [
        (EventKind.ON, 100),
        (EventKind.PUSH, 300),
        (EventKind.SHIFT, 450),
        (EventKind.HIT, 770),
    ]
    assert task.finished
    assert task.trials[0].completion_ns == 670 * MS


def test_a_break_begins_the_hold_anew() -> None:
    task = InsertionTask([ONE], hold_ns=300 * MS)
    events = _run(task, lambda ms: AWAY if ms == 700 else (0.3, 0.4), 1300)
    assert events[-1] == (EventKind.HIT, 1005)


def test_a_hold_that_is_not_over_in_time_is_a_miss() -> None:
    task = InsertionTask([ONE], hold_ns=300 * MS)
    events = _run(task, lambda ms: (0.3, 0.4) if ms >= 905 else AWAY, 1300)
    assert events[-1] == (EventKind.MISS, 1205)
    assert not task.trials[0].success


def test_a_slot_is_seen_while_it_is_there_and_where() -> None:
    task = InsertionTask([ONE])
    for ms, seen in ((50, ()), (100, (SLOT,)), (449, (SLOT,)), (450, (SHIFTED,)), (1201, ())):
        task.advance(ms * MS, AWAY)
        assert task.things == seen


def test_the_arm_is_pushed_while_the_push_lasts() -> None:
    pytest.importorskip("mujoco")
    environment = Environment(ArmSim(), InsertionTask([ONE]))
    calm = ArmSim()
    still = calm.q
    pushed_m = []
    for _ in range(100):
        environment.step(still, 5 * MS)
        pushed_m.append(float(np.linalg.norm(environment.arm.tip - calm.tip)))
    assert max(pushed_m[:60]) < 1e-6
    assert 0.01 < max(pushed_m) < 0.15
    assert max(pushed_m) == max(pushed_m[74:80])  # at the end of the push


def test_a_calm_fork_is_spared_the_shift() -> None:
    task = InsertionTask([ONE])
    _run(task, lambda ms: AWAY, 400)
    assert task.surprise_ns == 450 * MS
    calm = task.fork(calm=True)
    for each, seen in ((calm, SLOT), (task, SHIFTED)):
        each.advance(500 * MS, AWAY)
        assert each.surprise_ns is None
        assert each.things == (seen,)


@pytest.mark.sim
def test_walls_are_drawn_around_the_slot_and_leave_it_open() -> None:
    pytest.importorskip("cv2")
    camera, q = TableCamera(), inverse((-0.3, 0.3))
    slot = Slot(0.2, 0.4, 0.0, 0.03, 0.012)
    changed = np.any(camera.render(q, [slot]) != camera.render(q), axis=-1)
    for place, wall in (((0.2, 0.4), False), ((0.24, 0.4), False), ((0.17, 0.4), True), ((0.2, 0.44), True)):
        column, row = np.rint(camera.pixel(place)).astype(int)
        assert changed[row, column] == wall, place


@pytest.mark.parametrize(
    "wrong",
    [{"slots": 0}, {"window_ns": 1}, {"shift_m": (0.2, 0.1)}, {"tolerance_m": 0.0}, {"jump_m": (0.6, 0.7)}],
)
def test_senseless_series_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        InsertionConfig(**wrong)  # type: ignore[arg-type]
