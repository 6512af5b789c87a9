# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every miss policy, tick by tick."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.control.miss import MISS_POLICIES, MissPolicy

TICK_NS = 10_000_000
START = np.array([1.0])


def travel(kind: str, ticks: int) -> list[float]:
    """Return the speed at each tick, from 2 rad/s, of a robot that follows the targets."""
    policy = MissPolicy(kind, deadline_ns=5 * TICK_NS, decay_ns=2 * TICK_NS)
    position, velocity, speeds = START, np.array([2.0]), []
    for tick in range(1, ticks + 1):
        target = policy.target(position, velocity, tick * TICK_NS, TICK_NS)
        velocity = (target - position) / (TICK_NS * 1e-9)
        position = target
        speeds.append(float(velocity[0]))
    return speeds


def test_hold_stays() -> None:
    assert travel("hold", 3) == [0.0, 0.0, 0.0]


def test_decay_slows_down_with_its_time_constant_and_ends_in_a_stand() -> None:
    speeds = travel("decay", 60)
    assert speeds[1] / speeds[0] == pytest.approx(np.exp(-0.5))
    assert abs(speeds[-1]) < 1e-9


def test_continue_goes_on_until_its_deadline_then_decays() -> None:
    speeds = travel("continue", 60)
    assert speeds[:5] == pytest.approx([2.0] * 5)
    assert speeds[5] < 2.0
    assert abs(speeds[-1]) < 1e-9


def test_unknown_policy_is_refused() -> None:
    assert MISS_POLICIES == ("hold", "decay", "continue")
    with pytest.raises(ValueError, match="brake"):
        MissPolicy("brake", deadline_ns=1, decay_ns=1)
