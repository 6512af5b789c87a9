# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the clock says, and what is made of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lowlat_nodes.cli.doctor import clock
from lowlat_nodes.cli.doctor.clock import Discipline
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Level

Doctor = Callable[..., Any]

NOW_S = 1.79e9


def test_this_machine(doctor: Doctor) -> None:
    found = doctor("clock")
    assert set(found) == {"synchronised", "steps", "resolution", "source"}
    assert found["synchronised"]["level"] in {"ok", "warning"}
    assert found["source"]["figures"]["cost_ns"] > 0.0


def test_the_kernel_answers() -> None:
    state = clock.discipline()
    assert state is not None
    assert state.error_us >= 0.0


def test_a_step_since_the_run_began() -> None:
    offset_ns = time.time_ns() - time.monotonic_ns()
    for moved_ns, level in ((0, Level.OK), (2_000_000_000, Level.WARNING)):
        found = {each.about: each for each in clock.check(Examination({}, offset_ns=offset_ns - moved_ns))}
        assert found["steps"].level is level
    assert "+2000.0 ms" in found["steps"].found


@pytest.mark.parametrize(
    ("now_s", "state", "level", "words"),
    [
        (NOW_S, Discipline(True, 500.0, 1.0), Level.OK, "off by 0.5 ms at most"),
        (NOW_S, Discipline(True, 900_000.0, 1.0), Level.WARNING, "may be off by 900 ms"),
        (NOW_S, Discipline(False, 16e6, 0.0), Level.WARNING, "Nothing sets the clock"),
        (NOW_S, None, Level.NOTE, "does not say"),
        (0.0, Discipline(True, 500.0, 1.0), Level.PROBLEM, "The clock says 1970-01-01"),
    ],
)
def test_time(now_s: float, state: Discipline | None, level: Level, words: str) -> None:
    found = clock.judge_time(now_s, state, container=False)
    assert (found.level, words in found.found) == (level, True), found


def test_where_it_is_set() -> None:
    state = Discipline(False, 16e6, 0.0)
    assert clock.judge_time(NOW_S, state, container=False).mend[0] == "sudo timedatectl set-ntp true"
    assert "on the host" in clock.judge_time(NOW_S, state, container=True).mend[0]


@pytest.mark.parametrize(("resolution_s", "level"), [(1e-9, Level.OK), (4e-3, Level.PROBLEM)])
def test_resolution(resolution_s: float, level: Level) -> None:
    assert clock.judge_resolution(resolution_s).level is level


@pytest.mark.parametrize(
    ("name", "cost_ns", "level"),
    [
        ("tsc", 40.0, Level.OK),
        ("hpet", 1200.0, Level.WARNING),
        ("", 50.0, Level.OK),
        ("", 900.0, Level.WARNING),
    ],
)
def test_source(name: str, cost_ns: float, level: Level) -> None:
    assert clock.judge_source(name, cost_ns).level is level
