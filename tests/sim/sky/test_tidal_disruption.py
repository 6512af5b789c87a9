# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Tidal disruptions against published light curves and colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.sim.sky import tidal_disruption
from lowlat_nodes.sim.sky.explosion import Source

G_UM, R_UM = 0.477, 0.6166
Measure = Callable[[Source, np.ndarray, float], np.ndarray]
DAYS = np.arange(1.0, 400.0)


@pytest.fixture
def sources() -> list[Source]:
    """A sample."""
    rng = np.random.default_rng(11)
    return [tidal_disruption.draw(rng, 20.0, 0.0).source for _ in range(300)]


def test_they_stay_blue(absolute_mag: Measure, sources: list[Source]) -> None:
    # van Velzen et al. (2021), Hammerstein et al. (2023): g-r of -0.1 to -0.4 that hardly changes.
    colours = []
    for source in sources:
        peak = DAYS[absolute_mag(source, DAYS, G_UM).argmin()]
        at = peak + np.array([-5.0, 60.0])
        colours.append(absolute_mag(source, at, G_UM) - absolute_mag(source, at, R_UM))
    assert np.median(colours, axis=0) == pytest.approx([-0.33, -0.35], abs=0.1)
    assert np.abs(np.diff(colours, axis=1)).mean() < 0.15


def test_luminosities_and_declines(absolute_mag: Measure, sources: list[Source]) -> None:
    curves = np.array([absolute_mag(source, DAYS, G_UM) for source in sources])
    assert np.median(curves.min(axis=1)) == pytest.approx(-19.6, abs=0.3)
    later = [np.interp(DAYS[curve.argmin()] + 30, DAYS, curve) - curve.min() for curve in curves]
    assert 0.3 < np.median(later) < 0.9
