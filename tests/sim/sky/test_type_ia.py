# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Type Ia supernovae against published light curves and colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.sim.sky import hsiao, type_ia
from lowlat_nodes.sim.sky.explosion import Host, Source
from lowlat_nodes.sim.sky.type_ia import Thermonuclear
from lowlat_nodes.sim.sky.warp import Warp

pytestmark = pytest.mark.sky

B_UM, V_UM, G_UM, R_UM, I_UM = 0.441, 0.551, 0.477, 0.6166, 0.755
Measure = Callable[[Source, np.ndarray, float], np.ndarray]


def _standard(stretch: float = 1.0) -> Thermonuclear:
    still = Warp(*(np.zeros(1) for _ in range(4)))
    return Thermonuclear(-19.4, stretch, stretch, 0.0, 0.0, still)


@pytest.fixture
def normal() -> list[Source]:
    """Normal ones, as most are."""
    rng = np.random.default_rng(5)
    sources = [type_ia.draw(rng, 20.0, 0.0).source for _ in range(400)]
    return [source for source in sources if isinstance(source, Thermonuclear)]


def test_the_standard_one_has_the_decline_and_the_colours_of_the_template(absolute_mag: Measure) -> None:
    peak, fortnight = absolute_mag(_standard(), np.array([0.0, 15.0]), B_UM)
    assert peak == pytest.approx(-19.4, abs=0.02)
    assert fortnight - peak == pytest.approx(1.1, abs=0.12)
    # B-V is 0 in Vega at the maximum, so -0.1 in AB (Phillips et al. 1999), and 1.1 redder a month later.
    days = np.array([0.0, 30.0])
    colours = absolute_mag(_standard(), days, B_UM) - absolute_mag(_standard(), days, V_UM)
    assert colours[0] == pytest.approx(-0.1, abs=0.1)
    assert colours[1] - colours[0] == pytest.approx(1.05, abs=0.2)


def test_it_has_two_maxima_in_i_and_one_in_g(absolute_mag: Measure) -> None:
    days = np.arange(-12.0, 50.0)
    for wavelength, maxima in ((0.48, 1), (0.78, 2)):
        curve = absolute_mag(_standard(), days, wavelength)
        found = np.sum((curve[1:-1] < curve[:-2]) & (curve[1:-1] < curve[2:]))
        assert found == maxima


def test_the_slow_ones_are_the_bright_ones(absolute_mag: Measure, normal: list[Source]) -> None:
    days = np.linspace(-15, 40, 400)
    curves = np.array([absolute_mag(source, days, B_UM) for source in normal])
    peaks = curves.min(axis=1)
    declines = np.array([np.interp(days[curve.argmin()] + 15, days, curve) - curve.min() for curve in curves])
    # Hicken et al. (2009), Betoule et al. (2014).
    assert peaks.mean() == pytest.approx(-19.55, abs=0.15)
    assert 0.08 < peaks.std() < 0.35
    assert declines.mean() == pytest.approx(1.1, abs=0.12)
    assert 0.08 < declines.std() < 0.3
    assert np.corrcoef(peaks, declines)[0, 1] > 0.3


def test_colours_at_the_maximum_and_three_weeks_later(absolute_mag: Measure, normal: list[Source]) -> None:
    at = np.array([0.0, 20.0])
    blue = np.array([absolute_mag(each, at, G_UM) - absolute_mag(each, at, R_UM) for each in normal])
    assert np.median(blue[:, 0]) == pytest.approx(-0.2, abs=0.12)
    assert np.median(blue[:, 1]) == pytest.approx(0.45, abs=0.2)
    red = np.array([absolute_mag(each, at, R_UM) - absolute_mag(each, at, I_UM) for each in normal])
    assert np.median(red[:, 0]) < -0.3


def test_rises_take_17_to_20_days(normal: list[Source]) -> None:
    # Hayden et al. (2010), Miller et al. (2020): 17 to 19 days, longer for the slow.
    rises = [-source.first_days for source in normal]
    assert 16 < np.median(rises) < 20
    assert np.std(rises) < 2.5


def test_a_few_are_faint_fast_and_red(absolute_mag: Measure) -> None:
    rng = np.random.default_rng(6)
    sources = [type_ia.draw(rng, 20.0, 0.0).source for _ in range(600)]
    odd = [source for source in sources if not isinstance(source, Thermonuclear)]
    assert 0.04 < len(odd) / len(sources) < 0.11
    days = np.linspace(0.5, 40, 200)
    peaks = [absolute_mag(source, days, B_UM).min() for source in odd]
    assert np.median(peaks) > -18.2


def test_the_template_lasts_and_fades() -> None:
    template = hsiao.template()
    days = np.array([0.0, 80.0, 120.0, 180.0])
    late = template(days, np.full(4, np.log(0.55)))
    assert (np.diff(late) < -0.3).all()
    assert hsiao.template() is template


def test_the_k_correction_at_redshift_one_half() -> None:
    # Rest B is nearly observed R at z = 0.5: the K-correction is that of the stretched bandwidth, about -0.7
    # in Vega (Nugent et al. 2002), -2.5 log10(1 + z) in AB at the wavelengths that correspond.
    rng = np.random.default_rng(2)
    seen = type_ia.draw(rng, 24.0, 0.0)
    seen.source, seen.redshift, seen.galactic_ebv = _standard(), 0.5, 0.0
    seen.host, seen.zero_mjd = Host(0.0, 3.1), 0.0
    peak_njy = seen.flux_njy(np.array([0.0]), np.array([0.44 * 1.5]))[0]
    # 42.26: distance modulus.
    assert 31.4 - 2.5 * np.log10(peak_njy) == pytest.approx(-19.4 + 42.26 - 0.44, abs=0.03)
