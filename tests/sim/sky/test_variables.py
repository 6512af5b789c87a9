# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES, TREE
from lowlat_nodes.sim.sky import (
    active_galaxy,
    cataclysmic,
    eclipsing_binary,
    long_period,
    microlensing,
    rr_lyrae,
    stellar_flare,
)
from lowlat_nodes.sim.sky.observation import observe
from lowlat_nodes.sim.sky.population import DRAWS
from lowlat_nodes.sim.sky.surveys import lsst

NAMES = list(DRAWS)[5:]
WAVELENGTHS = np.array([0.37, 0.48, 0.62, 0.76, 0.87, 0.97])
MJD = 60000.0


def _draw(draw: Callable[..., Any], seed: int, faintest_mag: float = 20.0) -> Any:
    return draw(np.random.default_rng(seed), faintest_mag, MJD)


def _at(sky_object: Any, mjd: np.ndarray, um: float = 0.62) -> np.ndarray:
    return sky_object.flux_njy(mjd, np.full(len(mjd), um))


def _magnitude(flux: np.ndarray) -> np.ndarray:
    return 31.4 - 2.5 * np.log10(flux)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_drawn_is_a_sky_object(name: str, seed: int) -> None:
    drawn = _draw(DRAWS[name], seed)
    assert CLASSES[drawn.label] == name
    assert drawn.persistent == any(name in names for names in TREE["persistent"].values())
    assert drawn.start_mjd < drawn.peak_mjd < drawn.end_mjd
    rng = np.random.default_rng(1)
    mjd, um = rng.uniform(MJD - 1200, MJD + 600, 500), rng.choice(WAVELENGTHS, 500)
    flux = drawn.flux_njy(mjd, um)
    assert flux.shape == (500,)
    assert flux.dtype == np.float64
    assert np.isfinite(flux).all()
    assert (flux >= 0).all()
    order = rng.permutation(500)
    assert np.allclose(drawn.flux_njy(mjd[order], um[order]), flux[order], rtol=1e-12)
    assert np.array_equal(_draw(DRAWS[name], seed).flux_njy(mjd, um), flux)


@pytest.mark.parametrize("name", NAMES)
def test_what_varies_is_brighter_than_the_faintest(name: str) -> None:
    for seed in range(30):
        drawn = _draw(DRAWS[name], seed)
        life = np.linspace(drawn.start_mjd, drawn.end_mjd, 3000)
        brightest = max(np.ptp(_at(drawn, life, um)) for um in WAVELENGTHS)
        assert _magnitude(brightest) < 20.6


def _period(mjd: np.ndarray, flux: np.ndarray, periods: np.ndarray) -> float:
    """Return the period at which flux folds to the shortest string (Dworetsky 1983)."""
    scaled = (flux - flux.min()) / np.ptp(flux)
    folded = [scaled[np.argsort((mjd / period) % 1)] for period in periods]
    return float(periods[np.argmin([np.abs(np.diff(values)).sum() for values in folded])])


@pytest.mark.parametrize("seed", range(6))
def test_the_period_of_an_rr_lyrae_star_is_in_its_light_curve(seed: int) -> None:
    drawn = replace(_draw(rr_lyrae.draw, seed), blazhko=(0.0, 0.0))
    mjd = np.sort(MJD + np.random.default_rng(seed).uniform(0, 60, 300))
    # Folded with the true one among 4,000 others.
    periods = np.append(1 / np.linspace(1 / 0.95, 1 / 0.22, 4000), drawn.period_days)
    found = _period(mjd, _at(drawn, mjd), periods)
    assert found == pytest.approx(drawn.period_days, rel=2e-3)


@pytest.mark.parametrize("seed", range(6))
def test_a_binary_repeats_itself_after_a_period_and_not_before(seed: int) -> None:
    drawn = _draw(eclipsing_binary.draw, seed)
    mjd = MJD + np.linspace(0, drawn.period_days, 400, endpoint=False)
    flux = _at(drawn, mjd)
    assert np.allclose(_at(drawn, mjd + 7 * drawn.period_days), flux)
    assert not np.allclose(_at(drawn, mjd + 0.31 * drawn.period_days), flux, rtol=1e-3)
    eclipse = _at(drawn, np.array([drawn.zero_mjd]))[0]
    assert eclipse < np.median(flux)


def test_rr_lyrae_stars_have_the_shapes_and_amplitudes_of_the_templates_of_sdss(data_dir: Path) -> None:
    with (data_dir / "rr_lyrae" / "sdss_templates.csv").open() as file:
        templates = {row[0]: np.array(row[1:], float) for row in csv.reader(file)}
    um = {"g": 0.4686, "r": 0.6166, "i": 0.7480, "z": 0.8932}
    size = np.ptp(templates["g"])
    cycle = np.linspace(0, 1, 100, endpoint=False)
    differences = {band: [] for band in um}
    for seed in range(60):
        drawn = _draw(rr_lyrae.draw, seed)
        if len(drawn.ratios) < 6 or drawn.blazhko[0]:  # of the fundamental mode only
            continue
        for band, wavelength in um.items():
            shape = _magnitude(_at(drawn, drawn.peak_mjd + cycle * drawn.period_days, wavelength))
            shape = (shape - shape.mean()) / drawn.amplitude_mag * size
            template = templates[band] - templates[band].mean()
            best = min(np.sqrt(np.mean((np.roll(shape, shift) - template) ** 2)) for shift in range(100))
            differences[band].append(best / np.ptp(template))
            assert np.ptp(shape) == pytest.approx(np.ptp(template), rel=0.25)
    assert len(differences["g"]) > 15
    assert all(np.median(values) < 0.08 for values in differences.values())


def test_a_quasar_walks_as_far_and_as_fast_as_it_was_drawn_to() -> None:
    walk = active_galaxy._walk(np.random.default_rng(0), 200_000, 0.05)
    assert walk.mean() == pytest.approx(0, abs=0.06)
    assert walk.var(axis=1) == pytest.approx(1, abs=0.1)
    for lag in (5, 20, 40):
        correlation = (walk[:, lag:] * walk[:, :-lag]).mean()
        assert correlation == pytest.approx(np.exp(-0.05 * lag), abs=0.06)


def test_a_quasar_is_bluer_when_it_is_brighter() -> None:
    slopes = []
    for seed in range(40):
        drawn = _draw(active_galaxy.draw, seed)
        mjd = np.linspace(MJD - 1800, MJD + 600, 400)
        blue, red = (_magnitude(_at(drawn, mjd, um)) for um in (0.48, 0.87))
        slopes.append(np.polyfit(blue, blue - red, 1)[0])
    assert np.median(slopes) > 0.1
    assert np.mean(np.array(slopes) > 0) > 0.8


def test_a_lens_magnifies_as_paczynski_says_and_all_colours_alike() -> None:
    simple = [
        drawn for drawn in (_draw(microlensing.draw, seed) for seed in range(30)) if not any(drawn.parallax)
    ]
    single = [drawn for drawn in simple if len(drawn.nearest) == 1]
    assert single
    for drawn in single:
        u = np.hypot(drawn.nearest[0], 0.7)
        mjd = drawn.peak_mjd + 0.7 * drawn.einstein_days * np.array([-1.0, 1.0])
        flux = _at(drawn, mjd)
        assert flux[0] == pytest.approx(flux[1])
        assert flux[0] / drawn.source_njy[0] == pytest.approx((u**2 + 2) / (u * np.sqrt(u**2 + 4)) - 1)
        ratio = _at(drawn, np.array([mjd[0], drawn.peak_mjd]), 0.48) / _at(
            drawn, np.array([mjd[0], drawn.peak_mjd])
        )
        assert ratio[0] == pytest.approx(ratio[1])


def test_a_flare_has_half_its_height_for_its_width_and_is_blue() -> None:
    found = 0
    for seed in range(40):
        drawn = _draw(stellar_flare.draw, seed)
        width = drawn.widths_days[0]
        mjd = drawn.peak_mjd + np.linspace(-3, 8, 20_000) * width
        alone = np.abs(drawn.peaks_mjd[1:] - drawn.peak_mjd) > 10 * width + 1
        if not alone.all():
            continue
        found += 1
        flux = _at(drawn, mjd)
        high = mjd[flux > flux.max() / 2]
        assert np.ptp(high) == pytest.approx(width, rel=0.15)
        times = drawn.peak_mjd + width * np.array([0.0, 6.0])
        colour = _at(drawn, times, 0.48) / _at(drawn, times, 0.76)
        assert (colour[0] > colour[1]) == (drawn.kelvin[0] > drawn.kelvin[1])
        assert 0.5 / 1440 < width < 5 / 24
    assert found > 10


def test_an_outburst_rises_faster_than_it_falls_and_then_there_is_none() -> None:
    for seed in range(40):
        drawn = _draw(cataclysmic.draw, seed)
        if len(drawn.peaks_mjd) > 1:
            continue
        mjd = np.linspace(drawn.start_mjd - 20, drawn.end_mjd + 20, 6000)
        flux = _at(drawn, mjd)
        bright = mjd[flux > 0.2 * flux.max()]
        assert drawn.peak_mjd - bright[0] < bright[-1] - drawn.peak_mjd + 0.5
        assert flux[0] == 0


def test_dwarf_novae_come_again_and_novae_do_not() -> None:
    drawn = [_draw(cataclysmic.draw, seed) for seed in range(200)]
    nova = np.array([each.amplitude_mag >= 7 and each.fall_power < 1 for each in drawn])
    assert 0.07 < nova.mean() < 0.25
    outbursts = np.array([len(each.peaks_mjd) for each in drawn])
    assert (outbursts[nova] == 1).all()
    assert np.median(outbursts[~nova]) > 5


def test_a_red_giant_varies_most_in_the_blue_and_over_months() -> None:
    periods = []
    for seed in range(60):
        drawn = _draw(long_period.draw, seed)
        mjd = np.linspace(MJD - 1000, MJD, 400)
        blue, red = (np.ptp(_magnitude(_at(drawn, mjd, um))) for um in (0.48, 0.87))
        assert blue > red
        assert _at(drawn, mjd, 0.87).mean() > _at(drawn, mjd, 0.48).mean()
        periods.append(drawn.periods_days[0])
    assert min(periods) >= 30
    assert 80 < np.median(periods) < 350


def test_what_persists_is_seen_above_and_below_its_template() -> None:
    signs = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        campaign = lsst(rng)
        epochs = observe(rr_lyrae.draw(rng, campaign.faintest_mag, MJD), campaign, rng)
        if epochs is not None:
            signs.append((epochs.flux_njy[epochs.detected] > 0).mean())
    assert 0.2 < np.mean(signs) < 0.8
