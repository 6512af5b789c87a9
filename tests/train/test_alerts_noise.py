# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.sim.sky.noise import Noise
from lowlat_nodes.train.alerts_noise import fit, read_lsst, read_ztf

TRUE = Noise(sky=1.1, photons=0.05, difference=0.03, template=0.01, scatter=0.1)


def _epochs(sky: dict[int, float]) -> np.ndarray:
    rng = np.random.default_rng(0)
    band = rng.choice(list(sky), 4000)
    levels = np.array([sky[code] for code in band])
    difference = levels * 10 ** rng.uniform(0.7, 4, 4000)
    template = np.where(rng.random(4000) < 0.5, 0, levels * 10 ** rng.uniform(1, 5, 4000))
    error = TRUE.error_njy(levels, difference, template) * np.exp(TRUE.scatter * rng.standard_normal(4000))
    return np.stack((band, levels, difference, template, error), axis=1)


@pytest.mark.tracking
def test_a_fit_finds_the_noise_that_made_the_errors() -> None:
    found, sky = fit(_epochs({0: 800.0, 1: 1500.0}))
    for name in ("sky", "photons", "difference", "template", "scatter"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name), rel=0.1)
    assert sky == pytest.approx({0: 800.0, 1: 1500.0})


@pytest.mark.tracking
def test_where_no_limit_is_stated_the_sky_of_each_band_is_fitted() -> None:
    epochs = _epochs({3: 100.0, 7: 900.0})
    epochs[:, 1] = np.nan
    found, sky = fit(epochs)
    assert found.sky == pytest.approx(1)
    assert sky == pytest.approx({3: 110.0, 7: 990.0}, rel=0.05)
    assert found.difference == pytest.approx(TRUE.difference, rel=0.1)


@pytest.mark.alerts
def test_a_packet_that_repeats_another_s_history_adds_nothing(data_dir: Path) -> None:
    folder = data_dir / "alerts"
    for epochs in (read_ztf(folder / "ztf"), read_lsst(folder / "lsst")):
        assert len(np.unique(epochs, axis=0)) == len(epochs)
        assert (epochs[:, 2:4] >= 0).all()
        assert (epochs[:, 4] > 0).all()
