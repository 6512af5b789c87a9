# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Stripped supernovae against published light curves and colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.sim.sky import type_ibc
from lowlat_nodes.sim.sky.explosion import Source

G_UM, R_UM, I_UM = 0.477, 0.6166, 0.755
Measure = Callable[[Source, np.ndarray, float], np.ndarray]
DAYS = np.arange(0.5, 120.0, 0.5)


@pytest.fixture
def sources() -> list[Source]:
    """A sample of all kinds."""
    rng = np.random.default_rng(11)
    return [type_ibc.draw(rng, 19.0, 0.0).source for _ in range(400)]


def test_luminosities_rises_and_declines(absolute_mag: Measure, sources: list[Source]) -> None:
    found = []
    for source in sources:
        curve = absolute_mag(source, DAYS, R_UM)
        peak = int(curve[10:].argmin()) + 10
        found.append((curve[peak], DAYS[peak], curve[min(peak + 30, len(DAYS) - 1)] - curve[peak]))
    peaks, rises, declines = np.array(found).T
    # Richardson et al. (2014), Taddia et al. (2015), Drout et al. (2011).
    assert np.median(peaks) == pytest.approx(-18.1, abs=0.4)
    assert 0.6 < peaks.std() < 1.2
    assert 12 < np.median(rises) < 19
    assert np.median(declines) == pytest.approx(0.6, abs=0.15)
    assert declines.std() > 0.1


def test_they_are_redder_than_type_ia_and_become_red_sooner(
    absolute_mag: Measure, sources: list[Source]
) -> None:
    colours = []
    for source in sources:
        peak = DAYS[10:][absolute_mag(source, DAYS[10:], R_UM).argmin()]
        at = peak + np.array([0.0, 10.0, 20.0])
        colours.append(absolute_mag(source, at, G_UM) - absolute_mag(source, at, R_UM))
    # Stritzinger et al. (2018), Drout et al. (2011): without dust.
    peak_colour, later, latest = np.median(colours, axis=0)
    assert peak_colour == pytest.approx(0.4, abs=0.15)
    assert later == pytest.approx(0.75, abs=0.15)
    assert latest == pytest.approx(1.0, abs=0.15)


def test_most_have_one_maximum_in_i(absolute_mag: Measure, sources: list[Source]) -> None:
    single = 0
    for source in sources:
        curve = absolute_mag(source, DAYS[12:], I_UM)
        single += int(np.sum((curve[1:-1] < curve[:-2]) & (curve[1:-1] < curve[2:])) == 1)
    assert single / len(sources) > 0.8
