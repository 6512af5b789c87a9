# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Type II supernovae against published light curves and colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.sim.sky import type_ii
from lowlat_nodes.sim.sky.explosion import Source

V_UM, G_UM, R_UM = 0.551, 0.477, 0.6166
Measure = Callable[[Source, np.ndarray, float], np.ndarray]
DAYS = np.arange(1.0, 250.0)


@pytest.fixture
def sources() -> list[Source]:
    """A sample of all kinds."""
    rng = np.random.default_rng(11)
    return [type_ii.draw(rng, 19.0, 0.0).source for _ in range(400)]


def test_luminosities(absolute_mag: Measure, sources: list[Source]) -> None:
    peaks = np.array([absolute_mag(source, DAYS, V_UM).min() for source in sources])
    # Anderson et al. (2014): -16.7 with a spread of 1.0 in V; those of Nyholm et al. (2020) on top.
    assert -18.0 < np.median(peaks) < -16.7
    assert 0.8 < peaks.std() < 1.7


def test_most_rise_within_a_fortnight(absolute_mag: Measure, sources: list[Source]) -> None:
    rises = np.array([DAYS[absolute_mag(source, DAYS, G_UM).argmin()] for source in sources])
    # Gonzalez-Gaitan et al. (2015): a week in g.
    assert 5 < np.median(rises) < 12
    assert np.mean(rises > 40) > 0.02


def test_most_have_a_plateau_of_two_to_four_months(absolute_mag: Measure, sources: list[Source]) -> None:
    lengths = []
    for source in sources:
        curve = absolute_mag(source, DAYS, V_UM)
        slope = np.gradient(curve, DAYS)
        drop = 40 + int(slope[40:140].argmax())
        if slope[drop] > 0.05:
            lengths.append(DAYS[drop])
    assert len(lengths) / len(sources) > 0.5
    # Anderson et al. (2014): 84 days to the end of the plateau, with a spread of 17.
    assert np.median(lengths) == pytest.approx(88, abs=12)
    assert 8 < np.std(lengths) < 25


def test_they_start_blue_and_redden_for_two_months(absolute_mag: Measure, sources: list[Source]) -> None:
    days = np.array([5.0, 15.0, 37.0, 70.0])
    colours = np.array([absolute_mag(each, days, G_UM) - absolute_mag(each, days, R_UM) for each in sources])
    early, fortnight, month, plateau = np.median(colours, axis=0)
    # de Jaeger et al. (2018), converted from B-V.
    assert early < 0.0
    assert fortnight == pytest.approx(0.1, abs=0.15)
    assert month == pytest.approx(0.55, abs=0.2)
    assert plateau == pytest.approx(0.85, abs=0.25)


def test_the_bright_ones_decline_faster(absolute_mag: Measure) -> None:
    rng = np.random.default_rng(1)
    curves = [absolute_mag(type_ii.draw(rng, 19.0, 0.0).source, DAYS, V_UM) for _ in range(400)]
    quick = np.array([(curve.min(), curve[59] - curve[39]) for curve in curves if curve.argmin() < 20])
    assert np.corrcoef(quick.T)[0, 1] < -0.2
