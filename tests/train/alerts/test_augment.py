# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import WAVELENGTHS_UM
from lowlat_nodes.train.alerts.augment import AugmentConfig, augment
from lowlat_nodes.train.alerts.selection import epochs, owners

NEVER = AugmentConfig(**{item.name: 0.0 for item in dataclasses.fields(AugmentConfig)})
ALERTS = 200


@pytest.fixture
def curves() -> LightCurves:
    """Alerts of 1 to 40 epochs in three passbands, each with a detection."""
    random = np.random.default_rng(7)
    counts = random.integers(1, 41, ALERTS)
    offsets = np.append(0, np.cumsum(counts))
    owner = np.repeat(np.arange(ALERTS), counts)
    mjd = random.random(len(owner)) * 120.0 + 60000.0
    mjd = mjd[np.lexsort((mjd, owner))]
    detected = random.random(len(owner)) < 0.6
    detected[offsets[1:] - 1] = True
    flux = np.where(detected, random.uniform(300.0, 3000.0, len(owner)), 0.0)
    return LightCurves(
        np.arange(ALERTS),
        [f"{number}" for number in range(ALERTS)],
        offsets,
        mjd,
        random.integers(0, 3, len(owner)).astype(np.uint8),
        flux,
        np.full(len(owner), 50.0),
        detected,
    )


def seen(curves: LightCurves, config: AugmentConfig, seed: int = 0) -> LightCurves:
    return augment(curves, np.random.default_rng(seed), config)


def detections(curves: LightCurves) -> np.ndarray:
    return np.bincount(owners(curves)[curves.detected], minlength=len(curves))


def test_without_changes_nothing_changes(curves: LightCurves) -> None:
    same = seen(curves, NEVER)
    for name in ("offsets", "mjd", "band", "flux_njy", "error_njy", "detected"):
        np.testing.assert_array_equal(getattr(same, name), getattr(curves, name))


def test_every_view_is_a_sound_light_curve(curves: LightCurves) -> None:
    for seed in range(5):
        view = seen(curves, AugmentConfig(), seed)
        assert len(view) == len(curves)
        assert (detections(view) > 0).all()
        assert (view.error_njy > 0).all()
        assert np.isfinite(view.flux_njy).all()
        assert ((np.diff(view.mjd) >= 0) | (np.diff(owners(view)) > 0)).all()
        assert (view.flux_njy[~view.detected] == 0).mean() > 0.3


def test_the_same_seed_gives_the_same_view(curves: LightCurves) -> None:
    one, two = (seen(curves, AugmentConfig(), 3) for _ in range(2))
    np.testing.assert_array_equal(one.flux_njy, two.flux_njy)


def test_a_cut_light_curve_ends_at_a_detection(curves: LightCurves) -> None:
    view = seen(curves, dataclasses.replace(NEVER, cut=1.0))
    assert view.detected[view.offsets[1:] - 1].all()
    assert detections(view).sum() < detections(curves).sum()


def test_a_short_history_is_one_of_30_days(curves: LightCurves) -> None:
    view = seen(curves, dataclasses.replace(NEVER, short_history=1.0))
    span = view.mjd[view.offsets[1:] - 1] - view.mjd[view.offsets[:-1]]
    assert span.max() <= 30.0
    assert detections(view).min() > 0


def test_without_limits_there_are_detections_alone(curves: LightCurves) -> None:
    view = seen(curves, dataclasses.replace(NEVER, no_limits=1.0))
    assert view.detected.all()
    np.testing.assert_array_equal(detections(view), detections(curves))


def test_other_filters_are_near_in_wavelength_and_take_half_of_the_epochs(curves: LightCurves) -> None:
    view = seen(curves, dataclasses.replace(NEVER, other_filters=1.0))
    assert view.band.dtype == np.uint8
    moved = np.abs(WAVELENGTHS_UM[view.band] - WAVELENGTHS_UM[curves.band])
    assert moved.max() <= 0.03
    assert 0.2 < (view.band != curves.band).mean() < 0.5


def test_distance_changes_all_of_a_light_curve_alike(curves: LightCurves) -> None:
    view = seen(curves, dataclasses.replace(NEVER, depth_mag=1.0))
    ratio = view.flux_njy[curves.detected] / curves.flux_njy[curves.detected]
    owner = owners(curves)[curves.detected]
    factor = np.zeros(ALERTS)
    factor[owner] = ratio
    np.testing.assert_allclose(ratio, factor[owner])
    assert np.log(factor).std() > 0.5


def test_noise_can_hide_detections_but_the_newest(curves: LightCurves) -> None:
    view = seen(curves, dataclasses.replace(NEVER, noisier=1.0))
    assert (detections(view) > 0).all()
    assert detections(view).sum() < detections(curves).sum()


def test_parts_of_light_curves(curves: LightCurves) -> None:
    rows = np.array([5, 0, 5])
    some = curves.take(rows)
    assert some.object_id == ["5", "0", "5"]
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(
            some.mjd[some.offsets[place] : some.offsets[place + 1]],
            curves.mjd[curves.offsets[row] : curves.offsets[row + 1]],
        )
    none = epochs(curves, np.zeros(len(curves.mjd), np.bool_))
    assert len(none) == ALERTS
    assert none.offsets[-1] == 0
