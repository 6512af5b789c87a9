# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Diffusion against its own equation, and what Arnett found of it."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.sky.diffusion import diffused, magnetar_power, radioactive_power
from lowlat_nodes.sim.sky.photosphere import PHASES_DAYS


def test_at_the_maximum_as_much_comes_out_as_goes_in() -> None:
    power = radioactive_power(PHASES_DAYS)
    light = diffused(PHASES_DAYS, power, 13.0)
    peak = int(light.argmax())
    assert 12 < PHASES_DAYS[peak] < 20
    # Between two times of the grid.
    assert light[peak] == pytest.approx(power[peak], rel=0.04)


def test_a_coarse_grid_gives_what_a_fine_one_gives() -> None:
    fine_days = np.linspace(1e-3, 400, 200_000)
    fine = diffused(fine_days, magnetar_power(fine_days, 12.0), 30.0)
    coarse = diffused(PHASES_DAYS, magnetar_power(PHASES_DAYS, 12.0), 30.0)
    known = PHASES_DAYS < 399
    expected = np.interp(PHASES_DAYS[known], fine_days, fine)
    np.testing.assert_allclose(coarse[known], expected, rtol=0.03)


def test_in_the_end_light_comes_out_as_it_goes_in() -> None:
    power = radioactive_power(PHASES_DAYS)
    late = PHASES_DAYS > 200
    np.testing.assert_allclose(diffused(PHASES_DAYS, power, 10.0)[late], power[late], rtol=0.02)
