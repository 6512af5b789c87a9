# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Superluminous supernovae against published light curves and colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.sim.sky import superluminous
from lowlat_nodes.sim.sky.explosion import Explosion, Source

G_UM, R_UM = 0.477, 0.6166
Measure = Callable[[Source, np.ndarray, float], np.ndarray]
DAYS = np.arange(1.0, 400.0)


@pytest.fixture
def drawn() -> list[Explosion]:
    """A sample of all kinds."""
    rng = np.random.default_rng(11)
    return [superluminous.draw(rng, 21.0, 0.0) for _ in range(300)]


def test_luminosities_and_time_scales(absolute_mag: Measure, drawn: list[Explosion]) -> None:
    curves = np.array([absolute_mag(each.source, DAYS, G_UM) for each in drawn])
    peaks = curves.min(axis=1)
    assert np.median(peaks) == pytest.approx(-21.4, abs=0.4)
    assert np.mean(peaks < -19.5) > 0.95
    # Days within a factor e of the peak, before and after it: Chen et al. (2023a), 28 and 45 in the mean.
    rises, fades = [], []
    for curve in curves:
        bright = np.flatnonzero(curve < curve.min() + 1.086)
        rises.append(curve.argmin() - bright[0])
        fades.append(bright[-1] - curve.argmin())
    assert 17 < np.median(rises) < 35
    assert 28 < np.median(fades) < 65


def test_they_are_hot_at_the_peak_and_cool_slowly(absolute_mag: Measure, drawn: list[Explosion]) -> None:
    colours = []
    for each in drawn:
        peak = DAYS[absolute_mag(each.source, DAYS, G_UM).argmin()]
        at = peak + np.array([0.0, 50.0])
        colours.append(absolute_mag(each.source, at, G_UM) - absolute_mag(each.source, at, R_UM))
    peak_colour, later = np.median(colours, axis=0)
    assert peak_colour == pytest.approx(-0.15, abs=0.12)
    assert 0.05 < later < 0.6


def test_they_are_seen_from_afar(drawn: list[Explosion]) -> None:
    redshifts = [each.redshift for each in drawn]
    assert np.median(redshifts) > 0.15
    assert max(redshifts) > 0.4
