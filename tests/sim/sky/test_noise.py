# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.sim.sky.noise import LSST_NOISE, LSST_SKY_NJY, ZTF_LIMIT_MAG, ZTF_NOISE
from lowlat_nodes.sim.sky.population import generate
from lowlat_nodes.train import alerts_noise

MAGNITUDES = range(13, 21)


def test_the_sky_sets_the_error_of_what_is_faint_and_the_subtraction_that_of_what_is_bright() -> None:
    sky = np.array([1000.0])
    assert ZTF_NOISE.error_njy(sky, 0 * sky, 0.0) == pytest.approx(994)
    bright = np.array([1e7])
    assert ZTF_NOISE.error_njy(sky, bright, 0.0) / bright == pytest.approx(0.032, rel=0.03)
    assert ZTF_NOISE.error_njy(sky, -bright, 0.0) == ZTF_NOISE.error_njy(sky, bright, 0.0)
    assert ZTF_NOISE.error_njy(sky, bright, 1e8) > 10 * ZTF_NOISE.error_njy(sky, 0 * sky, 0.0)


def _magnitude_errors(flux: np.ndarray, error: np.ndarray) -> list[np.ndarray]:
    """Return the errors in magnitudes of what has each of some magnitudes."""
    magnitude = 31.4 - 2.5 * np.log10(np.abs(flux))
    return [1.0857 * (error / np.abs(flux))[np.floor(magnitude) == each] for each in MAGNITUDES]


@pytest.mark.alerts
def test_simulated_errors_are_those_of_real_alerts_of_ztf(data_dir: Path) -> None:
    real = alerts_noise.read_ztf(data_dir / "alerts" / "ztf")
    curves, _, _ = generate(800, seed=4, survey_shares={"ztf": 1})
    found = curves.detected
    simulated = _magnitude_errors(curves.flux_njy[found], curves.error_njy[found])
    for ours, theirs in zip(simulated, _magnitude_errors(real[:, 2], real[:, 4]), strict=True):
        assert np.median(ours) == pytest.approx(np.median(theirs), rel=0.3)
        assert np.percentile(ours, 84) < 2.0 * np.percentile(theirs, 84)
        assert np.percentile(ours, 16) > 0.4 * np.percentile(theirs, 16)


@pytest.mark.alerts
def test_the_model_gives_the_errors_that_real_alerts_state(data_dir: Path) -> None:
    ztf = alerts_noise.read_ztf(data_dir / "alerts" / "ztf")
    lsst = alerts_noise.read_lsst(data_dir / "alerts" / "lsst")
    assert (len(ztf), len(lsst)) == (759, 1741)
    sky_by_code = {CODES[name]: sky for name, sky in LSST_SKY_NJY.items()}
    lsst[:, 1] = [sky_by_code[int(code)] for code in lsst[:, 0]]
    for noise, epochs in ((ZTF_NOISE, ztf), (LSST_NOISE, lsst)):
        ratio = np.log(epochs[:, 4] / noise.error_njy(epochs[:, 1], epochs[:, 2], epochs[:, 3]))
        low, middle, high = np.percentile(ratio, [16, 50, 84])
        assert abs(middle) < 0.05
        assert (high - low) / 2 == pytest.approx(noise.scatter, rel=0.05)


@pytest.mark.alerts
@pytest.mark.tracking
def test_the_fit_still_gives_the_constants(data_dir: Path) -> None:
    ztf, _ = alerts_noise.fit(alerts_noise.read_ztf(data_dir / "alerts" / "ztf"))
    lsst, sky = alerts_noise.fit(alerts_noise.read_lsst(data_dir / "alerts" / "lsst"))
    for fitted, kept in ((ztf, ZTF_NOISE), (lsst, LSST_NOISE)):
        for name in ("sky", "photons", "difference", "template", "scatter"):
            assert getattr(fitted, name) == pytest.approx(getattr(kept, name), rel=0.05, abs=1e-4)
    assert all(
        sky[CODES[name]] == pytest.approx(LSST_SKY_NJY[name], rel=0.01) for name in ("lsst_g", "lsst_z")
    )


def test_limits_are_shallower_in_the_nearer_infrared() -> None:
    medians = [limits[3] for limits in ZTF_LIMIT_MAG.values()]
    assert medians == sorted(medians, reverse=True)
