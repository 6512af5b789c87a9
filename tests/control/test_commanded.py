# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which command is in force when."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.control.commanded import Commanded
from lowlat_nodes.control.contract import ObservationError
from lowlat_nodes.stream.payload import NO_FLOATS, Trajectory

S = 1_000_000_000
EPOCH_NS = 1_700_000_000 * S


def trajectory(
    times_s: list[float], rows: list[list[float]], start_ns: int = 0, names: tuple[str, ...] = ("a", "b")
) -> Trajectory:
    times_ns = np.array([round(time * S) for time in times_s])
    return Trajectory(names, start_ns, times_ns, np.array(rows, np.float64), NO_FLOATS, NO_FLOATS)


def at(commanded: Commanded, seconds: float) -> list[float]:
    found = commanded.at(EPOCH_NS + round(seconds * S))
    assert found is not None
    return found[0].tolist()


def take(commanded: Commanded, payload: np.ndarray | Trajectory, seconds: float) -> None:
    commanded.take(payload, EPOCH_NS + round(seconds * S))


@pytest.fixture
def commanded() -> Commanded:
    return Commanded(("a", "b"))


def test_nothing_is_in_force_before_the_first_command(commanded: Commanded) -> None:
    assert commanded.at(EPOCH_NS) is None


def test_positions_hold_from_their_receipt_to_the_next(commanded: Commanded) -> None:
    take(commanded, np.array([1.0, 2.0]), 1.0)
    assert at(commanded, 1.0) == [1.0, 2.0]
    assert at(commanded, 1.9) == [1.0, 2.0]
    take(commanded, np.array([3.0, 4.0]), 2.0)
    assert at(commanded, 2.0) == [3.0, 4.0]


def test_the_age_of_a_command_counts_from_its_last_point(commanded: Commanded) -> None:
    take(commanded, np.array([1.0, 2.0]), 1.0)
    assert commanded.at(EPOCH_NS + 3 * S)[1] == 2 * S
    take(commanded, trajectory([0.0, 2.0], [[1.0, 2.0], [3.0, 4.0]]), 3.0)
    assert commanded.at(EPOCH_NS + 4 * S)[1] == 0
    assert commanded.at(EPOCH_NS + 6 * S)[1] == S


def test_one_point_acts_at_once_and_by_name(commanded: Commanded) -> None:
    take(commanded, trajectory([0.1], [[9.0, 2.0, 1.0]], names=("c", "b", "a")), 1.0)
    assert at(commanded, 1.0) == [1.0, 2.0]


def test_several_points_are_joined_by_lines_from_what_was_in_force(commanded: Commanded) -> None:
    take(commanded, np.array([0.0, 0.0]), 1.0)
    take(commanded, trajectory([1.0, 2.0], [[1.0, 2.0], [3.0, 2.0]]), 2.0)
    assert at(commanded, 2.0) == [0.0, 0.0]
    assert at(commanded, 2.5) == [0.5, 1.0]
    assert at(commanded, 3.0) == [1.0, 2.0]
    assert at(commanded, 3.5) == [2.0, 2.0]
    assert at(commanded, 9.0) == [3.0, 2.0]


def test_a_trajectory_waits_for_its_start_unless_another_comes(commanded: Commanded) -> None:
    take(commanded, np.array([0.0, 0.0]), 1.0)
    take(commanded, trajectory([0.0, 1.0], [[5.0, 5.0], [6.0, 6.0]], EPOCH_NS + 3 * S), 2.0)
    assert at(commanded, 2.9) == [0.0, 0.0]
    assert at(commanded, 3.5) == [5.5, 5.5]
    take(commanded, trajectory([0.0, 1.0], [[7.0, 7.0], [8.0, 8.0]], EPOCH_NS + 9 * S), 4.0)
    take(commanded, np.array([1.0, 1.0]), 5.0)
    assert at(commanded, 9.5) == [1.0, 1.0]


def test_a_start_of_another_clock_counts_as_none(commanded: Commanded) -> None:
    take(commanded, trajectory([0.0, 1.0], [[1.0, 1.0], [2.0, 2.0]], start_ns=5 * S), 1.0)
    assert at(commanded, 1.5) == [1.5, 1.5]


@pytest.mark.parametrize(
    "payload",
    [
        np.array([1.0]),
        np.array([]),
        np.array([1.0, np.nan]),
        trajectory([1.0], [[1.0]], names=("a",)),
        trajectory([], []),
    ],
)
def test_a_command_for_other_joints_changes_nothing(
    payload: np.ndarray | Trajectory, commanded: Commanded
) -> None:
    take(commanded, np.array([1.0, 2.0]), 1.0)
    with pytest.raises(ObservationError, match="expected"):
        take(commanded, payload, 2.0)
    assert at(commanded, 3.0) == [1.0, 2.0]
