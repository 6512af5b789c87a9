# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.smoothness import boundary_jumps, rms_jerk


def test_jerk_of_a_cubic_is_its_third_derivative() -> None:
    time_s = np.arange(50) * 0.02
    path = np.stack([2.0 * time_s**3, 3.0 * time_s**2], axis=-1)
    assert rms_jerk(path, 0.02) == pytest.approx(12.0, rel=1e-6)


def test_uniform_acceleration_has_no_jerk() -> None:
    time_s = np.arange(50) * 0.02
    assert rms_jerk(np.stack([time_s, time_s**2], axis=-1), 0.02) == pytest.approx(0.0, abs=1e-6)


def test_a_few_positions_have_no_jerk() -> None:
    assert rms_jerk(np.ones((3, 2)), 0.02) == 0.0


def test_jumps_are_taken_where_chunks_take_over() -> None:
    commands = np.array([[0.0, 0.0], [0.0, 0.1], [0.3, 0.5], [0.3, 0.5]])
    swapped = np.array([True, False, True, True])
    assert boundary_jumps(commands, swapped) == pytest.approx([0.5, 0.0])
