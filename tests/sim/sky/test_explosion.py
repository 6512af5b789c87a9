# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What every transient outside the Milky Way has in common."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import superluminous, tidal_disruption, type_ia, type_ibc, type_ii
from lowlat_nodes.sim.sky.explosion import Explosion
from lowlat_nodes.sim.sky.sky_object import Draw, SkyObject

pytestmark = pytest.mark.sky

DRAWS = {
    "SN Ia": type_ia.draw,
    "SN II": type_ii.draw,
    "SN Ib/c": type_ibc.draw,
    "SLSN": superluminous.draw,
    "TDE": tidal_disruption.draw,
}
OPTICAL_UM = np.array([0.477, 0.623, 0.762])
FAINTEST_MAG = 21.0
MJD = 60000.0


@pytest.fixture(params=DRAWS)
def name(request: pytest.FixtureRequest) -> str:
    """Each class in turn."""
    return str(request.param)


def _drawn(name: str, count: int = 40, seed: int = 7) -> list[Explosion]:
    rng = np.random.default_rng(seed)
    draw: Draw = DRAWS[name]
    drawn: list[SkyObject] = [draw(rng, FAINTEST_MAG, MJD) for _ in range(count)]
    assert all(isinstance(each, Explosion) for each in drawn)
    return [each for each in drawn if isinstance(each, Explosion)]


def _brightest_njy(seen: Explosion, mjd: np.ndarray) -> np.ndarray:
    wavelengths = np.tile(OPTICAL_UM, len(mjd))
    return seen.flux_njy(np.repeat(mjd, 3), wavelengths).reshape(len(mjd), 3).max(axis=1)


def test_it_is_what_it_is_called(name: str) -> None:
    for seen in _drawn(name, 5):
        assert CLASSES[seen.label] == name
        assert not seen.persistent


def test_the_same_seed_gives_the_same_object(name: str) -> None:
    mjd = np.linspace(MJD - 50, MJD + 150, 60)
    wavelengths = np.resize(OPTICAL_UM, 60)
    once, again = (_drawn(name, 3)[-1] for _ in range(2))
    np.testing.assert_array_equal(once.flux_njy(mjd, wavelengths), again.flux_njy(mjd, wavelengths))
    other = _drawn(name, 3, seed=8)[-1]
    assert not np.array_equal(once.flux_njy(mjd, wavelengths), other.flux_njy(mjd, wavelengths))


def test_there_is_no_light_before_it_begins(name: str) -> None:
    for seen in _drawn(name):
        begin = seen.zero_mjd + seen.source.first_days * (1 + seen.redshift)
        before = np.linspace(begin - 400, begin - 1e-3, 30)
        assert not seen.flux_njy(before, np.resize(OPTICAL_UM, 30)).any()


def test_fluxes_are_finite_and_never_below_nothing(name: str) -> None:
    mjd = np.linspace(MJD - 200, MJD + 2000, 300)
    for seen in _drawn(name):
        for wavelength in (0.32, 0.48, 0.8, 1.0):
            flux = seen.flux_njy(mjd, np.full(300, wavelength))
            assert np.isfinite(flux).all()
            assert (flux >= 0).all()


def test_its_peak_is_bright_enough_and_where_it_was_asked_for(name: str) -> None:
    for seen in _drawn(name):
        assert seen.start_mjd < seen.peak_mjd < seen.end_mjd
        assert abs(seen.peak_mjd - MJD) <= 2.0
        light = _brightest_njy(seen, np.linspace(seen.start_mjd, seen.end_mjd, 800))
        assert 31.4 - 2.5 * np.log10(light.max()) < FAINTEST_MAG + 0.01
        at_peak = _brightest_njy(seen, np.array([seen.peak_mjd]))[0]
        assert at_peak > 0.85 * light.max()


def test_most_are_near_the_limit_and_some_are_far_brighter(name: str) -> None:
    peaks = np.array([_brightest_njy(seen, np.array([seen.peak_mjd]))[0] for seen in _drawn(name, 300)])
    above = FAINTEST_MAG - (31.4 - 2.5 * np.log10(peaks))
    assert 0.2 < np.mean(above < 1) < 0.75
    assert np.mean(above > 3) > 0.1


def test_a_source_farther_away_is_fainter_redder_and_slower() -> None:
    near = _drawn("SLSN", 1)[0]
    near.redshift = 0.1
    far = Explosion(near.label, near.source, 0.6, near.host, near.galactic_ebv, near.zero_mjd)
    mjd = np.linspace(near.zero_mjd, near.zero_mjd + 400, 4000)
    curves = [each.flux_njy(mjd, np.full(4000, 0.48 * (1 + each.redshift))) for each in (near, far)]
    widths = [np.sum(curve > curve.max() / 2) for curve in curves]
    assert widths[1] / widths[0] == pytest.approx(1.6 / 1.1, rel=0.02)
    assert curves[1].max() < curves[0].max()
    colours = [
        each.flux_njy(mjd, np.full(4000, 0.62)).max() / each.flux_njy(mjd, np.full(4000, 0.48)).max()
        for each in (near, far)
    ]
    assert colours[1] > colours[0]
