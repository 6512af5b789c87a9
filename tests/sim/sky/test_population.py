# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.sim.sky import population as population_module
from lowlat_nodes.sim.sky.population import DRAWS, generate
from lowlat_nodes.sim.sky.surveys import SURVEYS

COUNT = 600


@pytest.fixture(scope="module")
def population() -> tuple[LightCurves, np.ndarray, np.ndarray]:
    return generate(COUNT, seed=5)


def _equal(one: LightCurves, other: LightCurves) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("alert_id", "offsets", "mjd", "band", "flux_njy", "error_njy", "detected")
    )


def test_light_curves_keep_their_promises(population) -> None:
    curves, labels, surveys = population
    assert len(curves) == len(labels) == len(surveys) == COUNT
    assert curves.offsets[0] == 0
    assert curves.offsets[-1] == len(curves.mjd)
    assert np.isfinite(curves.mjd).all()
    assert np.isfinite(curves.flux_njy).all()
    assert np.isfinite(curves.error_njy).all()
    assert (curves.error_njy > 0).all()
    assert (curves.band < len(NAMES)).all()
    assert curves.band.dtype == np.uint8
    assert labels.dtype == np.int64
    for start, stop in zip(curves.offsets, curves.offsets[1:], strict=False):
        mjd, band = curves.mjd[start:stop], curves.band[start:stop]
        assert (np.diff(mjd) >= 0).all()
        assert len(set(zip(mjd, band, strict=True))) == stop - start
        assert curves.detected[start:stop].any()


def test_a_limit_has_no_flux_and_its_error_is_a_fifth_of_it(population) -> None:
    curves, _, surveys = population
    of_ztf = np.repeat(surveys == list(SURVEYS).index("ztf"), np.diff(curves.offsets))
    limits = of_ztf & ~curves.detected & (curves.flux_njy == 0)
    magnitudes = 31.4 - 2.5 * np.log10(5 * curves.error_njy[limits])
    assert limits.sum() > 1000
    assert 15 < magnitudes.min() < 20 < magnitudes.max() < 22


def test_the_same_seed_gives_the_same_sky_in_pieces_too(population) -> None:
    curves, labels, surveys = population
    middle = slice(200, 300)
    again, labels_again, surveys_again = generate(100, seed=5, first=200)
    assert np.array_equal(labels_again, labels[middle])
    assert np.array_equal(surveys_again, surveys[middle])
    epochs = slice(curves.offsets[200], curves.offsets[300])
    assert np.array_equal(again.flux_njy, curves.flux_njy[epochs])
    assert np.array_equal(again.mjd, curves.mjd[epochs])
    other, _, _ = generate(100, seed=6, first=200)
    assert not _equal(again, other)


def test_processes_share_the_work_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = generate(130, seed=9)
    monkeypatch.setattr(population_module, "_PIECE", 50)
    two = generate(130, seed=9, processes=2)
    assert _equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


def test_all_classes_are_equally_frequent_and_weights_change_that(population) -> None:
    _, labels, surveys = population
    counts = np.bincount(labels, minlength=len(CLASSES))
    expected = COUNT / len(DRAWS)
    assert all(abs(counts[CLASSES.index(name)] - expected) < 5 * np.sqrt(expected) for name in DRAWS)
    assert set(surveys) == {0, 1, 2}
    _, labels, surveys = generate(60, 1, class_weights={"AGN": 1, "CV": 0.2}, survey_shares={"lsst": 1})
    assert set(labels) == {CLASSES.index("AGN"), CLASSES.index("CV")}
    assert set(surveys) == {list(SURVEYS).index("lsst")}


def test_no_objects_are_none() -> None:
    curves, labels, surveys = generate(0, seed=1)
    assert len(curves) == len(labels) == len(surveys) == 0
    assert labels.dtype == surveys.dtype == np.int64


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="'SN' is none of"):
        generate(1, 1, class_weights={"SN": 1})
    with pytest.raises(KeyError, match="'des' is none of"):
        generate(1, 1, survey_shares={"des": 1})


def test_a_flare_cannot_be_told_by_having_one_detection(population) -> None:
    curves, labels, _ = population
    detections = np.add.reduceat(curves.detected.astype(int), curves.offsets[:-1])
    flare = labels == CLASSES.index("flare")
    single = detections == 1
    assert 0.3 < single[flare].mean() < 0.9
    assert single[~flare].mean() > 0.02
    assert (labels[single & ~flare] == CLASSES.index("CV")).any()
