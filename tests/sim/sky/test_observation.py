# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lowlat_nodes.sim.sky.noise import Noise
from lowlat_nodes.sim.sky.observation import observe
from lowlat_nodes.sim.sky.surveys import Campaign

SKY_NJY = 1000.0
CAMPAIGN = Campaign(
    days=np.arange(-99.0, 1.0),
    band=np.zeros(100, np.uint8),
    sky_njy=np.full(100, SKY_NJY),
    noise=Noise(sky=1, photons=0, difference=0, template=0, scatter=0),
    understated=1.0,
    faintest_mag=20.0,
    saturation_mag=10.0,
    threshold=5.0,
    signal_to_noise=5.0,
    history="limits",
    forced_days=100.0,
    age=0.99,
    begins=-np.inf,
    dense_days=np.inf,
    ends_at_detection=True,
    positive=False,
    offset=0.0,
    contamination=0.0,
    calibration=0.0,
    outliers=0.0,
    flat_error=0.0,
    host=False,
)


@dataclass(frozen=True)
class Lamp:
    """Something that shines evenly for a while, or always with another flux on every other day."""

    flux: float
    persistent: bool = False
    lasts: float = 40.0
    label: int = 0
    start_mjd: float = 60000.0
    peak_mjd: float = 60001.0

    @property
    def end_mjd(self) -> float:
        return self.start_mjd + self.lasts

    def flux_njy(self, mjd: np.ndarray, wavelength_um: np.ndarray) -> np.ndarray:
        if self.persistent:
            return self.flux * (1.5 + 0.5 * np.sign(np.sin(np.pi * mjd))) + 0 * wavelength_um
        return self.flux * ((mjd >= self.start_mjd) & (mjd <= self.end_mjd))


def _observe(lamp: Lamp, seed: int = 0, **changes: object):
    return observe(lamp, replace(CAMPAIGN, **changes), np.random.default_rng(seed))


def test_nothing_is_told_of_what_is_too_faint() -> None:
    assert _observe(Lamp(0.5 * SKY_NJY)) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_last_epoch_is_a_detection_and_what_was_before_are_limits(seed: int) -> None:
    epochs = _observe(Lamp(50 * SKY_NJY), seed)
    assert epochs.detected[-1]
    shining = (epochs.mjd >= 60000) & (epochs.mjd <= 60040)
    assert np.array_equal(epochs.detected, shining)
    assert (epochs.flux_njy[~shining] == 0).all()
    assert (epochs.error_njy == SKY_NJY).all()
    assert np.median(epochs.flux_njy[shining]) == pytest.approx(50 * SKY_NJY, rel=0.02)
    assert np.std(epochs.flux_njy[shining]) == pytest.approx(SKY_NJY, rel=0.5)


def test_detections_only_and_forced_photometry() -> None:
    only = _observe(Lamp(50 * SKY_NJY), history="detections")
    assert only.detected.all()
    forced = _observe(Lamp(50 * SKY_NJY), history="forced", forced_days=20.0)
    assert not forced.detected[0]
    assert (forced.flux_njy != 0).all()
    assert 60000 - forced.mjd[0] < 21


def test_an_alert_comes_at_any_age() -> None:
    ages = [len(_observe(Lamp(50 * SKY_NJY), age=age, history="detections")) for age in (0.1, 0.5, 0.9)]
    assert ages == sorted(ages)
    assert ages[0] < 8
    assert ages[2] > 30
    over = _observe(Lamp(50 * SKY_NJY), age=1.5, history="forced", ends_at_detection=False)
    assert not over.detected[-1]


def test_what_persists_is_measured_against_its_mean() -> None:
    epochs = _observe(Lamp(100 * SKY_NJY, persistent=True), history="forced")
    assert epochs.flux_njy.max() > 20 * SKY_NJY
    assert epochs.flux_njy.min() < -20 * SKY_NJY
    assert np.ptp(epochs.flux_njy) == pytest.approx(100 * SKY_NJY, rel=0.1)


def test_somebody_who_begins_late_has_no_rise() -> None:
    epochs = _observe(Lamp(50 * SKY_NJY), begins=0.5, history="detections")
    assert epochs.mjd[0] >= 60020
    assert 10 < len(epochs) < 25


def test_somebody_who_begins_early_has_the_rise_and_may_miss_the_end() -> None:
    for age in (0.5, 0.99, 1.3):
        epochs = _observe(Lamp(50 * SKY_NJY, lasts=400.0), begins=-0.1, history="detections", age=age)
        assert 60000 <= epochs.mjd[0] < 60012
        assert len(epochs) > 85


def test_what_is_observed_less_and_less_has_fewer_late_epochs() -> None:
    often = _observe(Lamp(50 * SKY_NJY, lasts=90.0), history="detections")
    rarely = _observe(Lamp(50 * SKY_NJY, lasts=90.0), history="detections", dense_days=10.0)
    assert len(rarely) < 0.5 * len(often)
    assert (rarely.mjd < 60010).sum() > (rarely.mjd > 60060).sum()


def test_what_saturates_is_not_measured() -> None:
    assert _observe(Lamp(50 * SKY_NJY), saturation_mag=20.0) is None


def test_a_wrong_template_shifts_all_epochs_and_outliers_some() -> None:
    lamp = Lamp(1e4 * SKY_NJY)

    def shining(**changes: object) -> np.ndarray:
        epochs = _observe(lamp, history="detections", **changes)
        return epochs.flux_njy[(epochs.mjd >= lamp.start_mjd) & (epochs.mjd <= lamp.end_mjd)]

    assert np.std(shining()) == pytest.approx(SKY_NJY, rel=0.4)
    assert abs(np.mean(shining(offset=300.0)) - lamp.flux) > 20 * SKY_NJY
    assert np.std(shining(offset=300.0)) == pytest.approx(SKY_NJY, rel=0.4)
    assert np.std(shining(outliers=0.3)) > 2 * SKY_NJY


def test_a_galaxy_that_was_not_subtracted_is_always_there() -> None:
    epochs = _observe(Lamp(1e3 * SKY_NJY), contamination=0.2)
    before = epochs.flux_njy[epochs.mjd < 60000]
    assert np.median(before) > 5 * SKY_NJY
    assert np.std(before) < 3 * SKY_NJY


def test_flat_errors_are_stated_in_proportion() -> None:
    epochs = _observe(Lamp(50 * SKY_NJY), history="detections", flat_error=0.1)
    assert epochs.error_njy == pytest.approx(0.1 * epochs.flux_njy)
