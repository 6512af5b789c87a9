# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Known drives are found again from noisy samples at uneven times; poor records are told from good ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.control.actuator import JointActuator
from lowlat_nodes.control.identify import Identification, Motion, NotIdentifiable, identify, slopes
from lowlat_nodes.stream.payload import Floats

EPOCH_NS = 1_700_000_000_000_000_000
PERIOD_S, STATE_S = 0.02, 0.004

DRIVES = {
    "lag": JointActuator(lag_ms=60.0, dead_time_ms=23.0, offset=0.03),
    "second_order": JointActuator(lag_ms=50.0, velocity_lag_ms=15.0, dead_time_ms=7.0),
    "slow": JointActuator(lag_ms=100.0, dead_time_ms=15.0, velocity_limit=1.5),
    "weak": JointActuator(lag_ms=60.0, velocity_lag_ms=20.0, velocity_limit=2.0, acceleration_limit=15.0),
}


def steps_and_sweeps(count: int, seconds: float, seed: int) -> Floats:
    """Return commands [n, count] that go to a new place or swing, for 0.2 to 1 s each."""
    random = np.random.default_rng(seed)
    rows = np.zeros((round(seconds / PERIOD_S), count))
    for column in range(count):
        row = 0
        while row < len(rows):
            stretch = slice(row, row + random.integers(10, 50))
            time = np.arange(len(rows[stretch])) * PERIOD_S
            swing = 0.3 * np.sin(2 * np.pi * random.uniform(0.3, 2.0) * time)
            rows[stretch, column] = swing if random.random() < 0.5 else random.uniform(-0.5, 0.5)
            row = stretch.stop
    return rows


def simulate(
    drives: Sequence[JointActuator],
    commands: Floats,
    *,
    noise: float = 1e-3,
    jitter_s: float = 0.003,
    seed: int = 0,
) -> Motion:
    """Solve the drives' differential equations in tiny steps and sample them with noise, at uneven times."""
    random = np.random.default_rng(seed)
    command_s = np.arange(len(commands)) * PERIOD_S + random.uniform(0.0, jitter_s, len(commands))
    tick_s = 1e-3
    time = np.arange(round(len(commands) * PERIOD_S / tick_s)) * tick_s
    lag, velocity_lag, dead, offset, top, hardest = np.array(
        [
            (
                drive.lag_ms * 1e-3,
                drive.velocity_lag_ms * 1e-3,
                drive.dead_time_ms * 1e-3,
                drive.offset,
                drive.velocity_limit or math.inf,
                drive.acceleration_limit or math.inf,
            )
            for drive in drives
        ]
    ).T
    rows = [np.maximum(np.searchsorted(command_s, time - late, side="right") - 1, 0) for late in dead]
    aims = np.stack([commands[row, joint] for joint, row in enumerate(rows)], axis=1) + offset
    q, v = aims[0].copy(), np.zeros(len(drives))
    share = np.where(velocity_lag > 0.0, tick_s / np.maximum(velocity_lag, tick_s), 1.0)
    path = np.empty((2, *aims.shape))
    for tick, aim in enumerate(aims):
        path[:, tick] = q, v
        wanted = np.clip((aim - q) / lag, -top, top)
        v = v + np.clip((wanted - v) * share, -hardest * tick_s, hardest * tick_s)
        q = q + v * tick_s
    state_s = np.arange(0.0, time[-1] - jitter_s, STATE_S)
    state_s += random.uniform(0.0, jitter_s, len(state_s))
    position, velocity = (
        np.stack([np.interp(state_s, time, column) for column in table.T], axis=1) for table in path
    )
    return Motion(
        tuple(f"joint_{index}" for index in range(len(drives))),
        EPOCH_NS + (command_s * 1e9).astype(np.int64),
        commands,
        EPOCH_NS + (state_s * 1e9).astype(np.int64),
        position + noise * random.standard_normal(position.shape),
        velocity + 20 * noise * random.standard_normal(velocity.shape),
    )


@pytest.fixture(scope="module")
def found() -> Identification:
    commands = steps_and_sweeps(len(DRIVES), 40.0, seed=1)
    return identify(simulate(list(DRIVES.values()), commands))


@pytest.mark.parametrize("name", DRIVES)
def test_known_drives_are_found_again(found: Identification, name: str) -> None:
    index = list(DRIVES).index(name)
    truth, drive = DRIVES[name], found.model.joints[f"joint_{index}"]
    assert drive.lag_ms == pytest.approx(truth.lag_ms, rel=0.1)
    assert drive.velocity_lag_ms == pytest.approx(truth.velocity_lag_ms, rel=0.15)
    # By less than a tenth of the time between commands, where it is shorter than that.
    assert drive.dead_time_ms == pytest.approx(truth.dead_time_ms, rel=0.1, abs=2.0)
    assert drive.offset == pytest.approx(truth.offset, abs=1e-3)
    assert drive.velocity_limit == pytest.approx(truth.velocity_limit, rel=0.1)
    assert drive.acceleration_limit == pytest.approx(truth.acceleration_limit, rel=0.1)


def test_what_is_left_is_about_the_noise(found: Identification) -> None:
    assert all(fit.rms < 4e-3 for fit in found.fits.values())
    assert found.fits["joint_0"].rms == pytest.approx(1e-3, rel=0.2)
    assert all(0.0 < fit.lag_error_ms < 2.0 for fit in found.fits.values())


def test_it_predicts_much_better_than_the_last_action(found: Identification) -> None:
    assert [horizon.steps for horizon in found.horizons] == [1, 4, 8, 16]
    for horizon in found.horizons:
        assert horizon.ratio < 0.1
        assert horizon.model < horizon.sum_deltas
        assert all(share < 0.1 for share in horizon.joints.values())


def test_velocities_that_were_not_measured_are_derived() -> None:
    motion = simulate([DRIVES["lag"]], steps_and_sweeps(1, 25.0, seed=2), noise=2e-4)
    drive = identify(replace(motion, velocity=np.empty((0, 1)))).model.joints["joint_0"]
    assert drive.lag_ms == pytest.approx(60.0, rel=0.1)
    assert drive.dead_time_ms == pytest.approx(23.0, abs=2.0)


def test_slopes_are_exact_for_lines_and_near_for_curves() -> None:
    time_ns = EPOCH_NS + np.cumsum(np.random.default_rng(0).integers(1_000_000, 6_000_000, 400))
    time = (time_ns - EPOCH_NS) * 1e-9
    found = slopes(time_ns, np.stack([3.0 - 2.0 * time, np.sin(3.0 * time)], axis=1))
    np.testing.assert_allclose(found[:, 0], -2.0, atol=1e-6)
    np.testing.assert_allclose(found[10:-10, 1], 3.0 * np.cos(3.0 * time[10:-10]), atol=0.05)


def test_slopes_work_where_samples_are_rare() -> None:
    time_ns = np.arange(50) * 100_000_000
    np.testing.assert_allclose(slopes(time_ns, 0.5 * time_ns[:, None] * 1e-9), 0.5, atol=1e-9)


def swing(frequency_hz: float, seconds: float = 30.0) -> Floats:
    time = np.arange(round(seconds / PERIOD_S)) * PERIOD_S
    return 0.4 * np.sin(2 * np.pi * frequency_hz * time)[:, None]


@pytest.fixture(scope="module")
def swinging() -> Motion:
    return simulate([DRIVES["lag"]], swing(0.5))


def test_a_record_without_motion_says_what_to_record(swinging: Motion) -> None:
    motion = replace(swinging, commands=np.full((1500, 1), 0.3))
    with pytest.raises(
        NotIdentifiable, match="record at least 20 s in which every joint goes back and forth"
    ):
        identify(motion)


def test_the_joint_that_rests_is_named() -> None:
    commands = np.hstack([swing(0.5), np.full_like(swing(0.5), 0.2)])
    motion = simulate([DRIVES["lag"], DRIVES["lag"]], commands)
    with pytest.raises(NotIdentifiable, match=r"'joint_1': its commands differ by 0 only"):
        identify(motion)


def test_a_slow_ramp_does_not_tell_lag_from_dead_time() -> None:
    motion = simulate([DRIVES["lag"]], np.linspace(0.0, 0.3, 1500)[:, None])
    with pytest.raises(NotIdentifiable, match=r"does not tell its lag and dead time, \d+ \+- \d+ and"):
        identify(motion)


def test_motion_that_is_only_in_the_first_part_cannot_be_judged() -> None:
    commands = swing(0.5)
    commands[1000:] = 0.1
    with pytest.raises(NotIdentifiable, match="motion in the last 30% of the record"):
        identify(simulate([DRIVES["lag"]], commands))


def test_commands_of_something_else_are_recognised() -> None:
    commands = steps_and_sweeps(1, 30.0, seed=3)
    motion = simulate([DRIVES["lag"]], commands)
    with pytest.raises(NotIdentifiable, match="the commands do not explain its motion"):
        identify(replace(motion, commands=steps_and_sweeps(1, 30.0, seed=4)))


def test_a_short_record_is_refused() -> None:
    motion = simulate([DRIVES["lag"]], steps_and_sweeps(1, 9.0, seed=3))
    with pytest.raises(NotIdentifiable, match=r"expected at least 8 s .* got 6\.\d s"):
        identify(motion)


def test_too_few_messages_are_refused(swinging: Motion) -> None:
    few = replace(swinging, command_ns=swinging.command_ns[:50], commands=swinging.commands[:50])
    with pytest.raises(NotIdentifiable, match="at least 100 commands and 100 states, got 50 and"):
        identify(few)


def test_records_that_do_not_overlap_are_refused(swinging: Motion) -> None:
    with pytest.raises(NotIdentifiable, match=r"got 0\.0 s"):
        identify(replace(swinging, command_ns=swinging.command_ns + 10**12))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"joints": ("a", "b")}, r"expected commands \[1500, 2\], got \(1500, 1\)"),
        ({"position": np.zeros((3, 1))}, "expected position"),
        ({"commands": np.full((1500, 1), np.nan)}, "expected finite commands"),
        ({"command_ns": np.arange(1500)[::-1]}, "times of commands that increase"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(swinging: Motion, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        identify(replace(swinging, **change))


@pytest.mark.parametrize("holdout", [0.0, 1.0, -0.1, math.nan])
def test_a_share_that_is_none_is_refused(swinging: Motion, holdout: float) -> None:
    with pytest.raises(ValueError, match="share between 0 and 1"):
        identify(swinging, holdout=holdout)
