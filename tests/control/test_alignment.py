# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""States that belong to an image's capture time."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.control.alignment import StateHistory, stamp_of
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.trace import Trace

S = 1_000_000_000


def state(stamp_ns: int, value: float) -> RobotState:
    return RobotState(stamp_ns, np.array([value]), np.array([-value]))


@pytest.fixture
def history() -> StateHistory:
    history = StateHistory(3)
    for stamp_ns, value in ((0, 9.0), (100, 1.0), (200, 2.0), (300, 4.0)):
        history.add(state(stamp_ns, value))
    return history


@pytest.mark.parametrize(
    ("stamp_ns", "value"), [(0, 1.0), (100, 1.0), (150, 1.5), (200, 2.0), (250, 3.0), (300, 4.0), (999, 4.0)]
)
def test_lies_between_its_neighbours(history: StateHistory, stamp_ns: int, value: float) -> None:
    found = history.at(stamp_ns)
    assert found is not None
    assert found.position == pytest.approx([value])
    assert found.velocity == pytest.approx([-value])


def test_a_clock_that_jumps_back_starts_the_history_anew(history: StateHistory) -> None:
    history.add(state(50, 7.0))
    found = history.at(300)
    assert found is not None
    assert found.position == pytest.approx([7.0])


def test_nothing_is_known_at_first() -> None:
    assert StateHistory(3).at(0) is None


@pytest.mark.parametrize(
    ("capture_ns", "stamp_ns"),
    [(0, 90 * S), (89 * S, 89 * S), (91 * S, 91 * S), (80 * S, 80 * S), (79 * S, 90 * S), (101 * S, 90 * S)],
)
def test_a_stamp_of_another_clock_is_replaced_by_the_time_of_receipt(capture_ns: int, stamp_ns: int) -> None:
    assert stamp_of(Trace(capture_ns=capture_ns, received_ns=90 * S)) == stamp_ns
