# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES, PASSBANDS
from lowlat_nodes.alerts.tokens import FIELDS, MOST, MOST_LIMITS, tokenise

DAYS, WAVELENGTH, FLUX, ERROR, DETECTED = range(len(FIELDS))


def curves(*parts: dict[str, object]) -> LightCurves:
    """Alerts given by mjd, flux, error (1 unless given), band and whether detected."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("mjd", "band", "flux", "error", "detected")}
    counts = [0]
    for part in parts:
        mjd = np.asarray(part["mjd"], np.float64)
        counts.append(len(mjd))
        for name, default in (("flux", 100.0), ("error", 1.0), ("band", CODES["ztf_r"]), ("detected", True)):
            columns[name].append(np.broadcast_to(np.asarray(part.get(name, default)), mjd.shape))
        columns["mjd"].append(mjd)
    joined = {name: np.concatenate([*values, []]) for name, values in columns.items()}
    return LightCurves(
        np.arange(len(parts)),
        [f"object {number}" for number in range(len(parts))],
        np.cumsum(counts),
        joined["mjd"],
        joined["band"].astype(np.uint8),
        joined["flux"].astype(np.float64),
        joined["error"].astype(np.float64),
        joined["detected"].astype(np.bool_),
    )


def random_curves(counts: list[int], seed: int = 0, limits: float = 0.5, bands: int = 3) -> LightCurves:
    random = np.random.default_rng(seed)
    return curves(
        *(
            {
                "mjd": np.sort(random.random(count) * 300.0) + 60000.0,
                "flux": random.normal(1000.0, 300.0, count),
                "error": random.uniform(10.0, 50.0, count),
                "band": random.integers(0, bands, count),
                "detected": random.random(count) >= limits,
            }
            for count in counts
        )
    )


def test_a_short_light_curve_becomes_its_epochs() -> None:
    tokens = tokenise(
        curves(
            {
                "mjd": [60000.0, 60001.5, 60004.0],
                "flux": [0.0, 250.0, -400.0],
                "error": [40.0, 20.0, 30.0],
                "band": [CODES["ztf_g"], CODES["ztf_r"], CODES["lsst_y"]],
                "detected": [False, True, True],
            },
            {"mjd": [59000.0]},
        )
    )
    assert tokens.offsets.tolist() == [0, 3, 4]
    np.testing.assert_allclose(
        tokens.values,
        [
            [-4.0, PASSBANDS["ztf_g"], 0.0, 40.0, 0.0],
            [-2.5, PASSBANDS["ztf_r"], 250.0, 20.0, 1.0],
            [0.0, PASSBANDS["lsst_y"], -400.0, 30.0, 1.0],
            [0.0, PASSBANDS["ztf_r"], 100.0, 1.0, 1.0],
        ],
        rtol=1e-6,
    )


def test_many_alerts_have_the_tokens_that_each_has_alone() -> None:
    counts = [0, 1, 17, 40, 64, 65, 300, 0, 900, 5]
    together = tokenise(random_curves(counts))
    whole = random_curves(counts)
    for number in range(len(counts)):
        epochs = slice(whole.offsets[number], whole.offsets[number + 1])
        alone = tokenise(
            curves(
                {
                    "mjd": whole.mjd[epochs],
                    "flux": whole.flux_njy[epochs],
                    "error": whole.error_njy[epochs],
                    "band": whole.band[epochs],
                    "detected": whole.detected[epochs],
                }
            )
        )
        rows = slice(together.offsets[number], together.offsets[number + 1])
        np.testing.assert_allclose(together.values[rows], alone.values, rtol=1e-5)


def test_no_alert_has_more_tokens_than_the_most() -> None:
    tokens = tokenise(random_curves([100_000, 740, 65, 20], limits=0.4, bands=6))
    assert np.diff(tokens.offsets).max() <= MOST
    for number in range(4):
        values = tokens.values[tokens.offsets[number] : tokens.offsets[number + 1]]
        assert (values[:, DETECTED] == 0).sum() <= MOST_LIMITS
        assert (np.diff(values[:, DAYS]) >= 0).all()
        assert values[-1, DAYS] <= 0


def test_the_most_passbands_are_no_trouble() -> None:
    bands = np.tile(np.arange(len(CODES)), 4)
    tokens = tokenise(curves({"mjd": 60000.0 + np.arange(len(bands)), "band": bands}))
    assert len(CODES) < tokens.offsets[1] <= MOST


def test_the_newest_the_brightest_and_the_most_negative_stay_as_they_are() -> None:
    random = np.random.default_rng(3)
    flux = 1000.0 + random.normal(0.0, 10.0, 500)
    flux[123], flux[321] = 9000.0, -7000.0
    mjd = 60000.0 + np.arange(500) * 0.7
    values = tokenise(curves({"mjd": mjd, "flux": flux, "error": 10.0})).values
    assert len(values) <= MOST
    for epoch in (123, 321, 499):
        wanted = [mjd[epoch] - mjd[-1], PASSBANDS["ztf_r"], flux[epoch], 10.0, 1.0]
        assert np.isclose(values, np.float32(wanted), rtol=1e-5).all(1).any()


def test_condensing_keeps_the_shape_and_gains_in_precision() -> None:
    random = np.random.default_rng(4)
    mjd = np.sort(random.random(600)) * 80.0
    shape = 5000.0 * np.exp(-(((mjd - 30.0) / 15.0) ** 2))
    values = tokenise(
        curves({"mjd": mjd, "flux": shape + random.normal(0.0, 100.0, 600), "error": 100.0})
    ).values
    true = 5000.0 * np.exp(-(((values[:, DAYS] + mjd[-1] - 30.0) / 15.0) ** 2))
    assert np.median(values[:, ERROR]) < 50.0
    assert np.mean(((values[:, FLUX] - true) / values[:, ERROR]) ** 2) < 2.0


def test_what_varies_faster_than_it_is_condensed_goes_on_to_vary() -> None:
    random = np.random.default_rng(5)
    flux = np.where(random.random(1000) < 0.5, 1000.0, -1000.0)
    values = tokenise(curves({"mjd": np.arange(1000.0), "flux": flux, "error": 20.0})).values
    assert values[:, FLUX].std() > 800.0


def test_of_limits_the_nearest_to_the_first_detection_stay_and_few_far_ones() -> None:
    mjd = np.append(np.arange(60000.0, 60090.0), 60090.5)
    detected = np.append(np.zeros(90, bool), True)
    values = tokenise(curves({"mjd": mjd, "flux": detected * 500.0, "detected": detected})).values
    limits = values[values[:, DETECTED] == 0]
    assert MOST_LIMITS // 2 < len(limits) <= MOST_LIMITS
    days = limits[::-1, DAYS]
    near = MOST_LIMITS // 2
    assert days[:near].tolist() == [-1.5 - number for number in range(near)]
    assert (np.diff(days[near:], n=2) <= 0.0).all()
    assert days[-1] < -45.0


def test_limits_after_the_first_detection_count_by_their_distance_too() -> None:
    mjd = 60000.0 + np.arange(41.0)
    detected = np.arange(41) == 20
    values = tokenise(curves({"mjd": mjd, "detected": detected, "flux": 100.0 * detected})).values
    limits = values[values[:, DETECTED] == 0, DAYS] + 20.0
    assert {-3.0, -2.0, -1.0, 1.0, 2.0, 3.0} <= set(limits.tolist())


def test_what_is_no_number_has_no_token() -> None:
    tokens = tokenise(
        curves(
            {
                "mjd": [60000.0, 60001.0, 60002.0, 60003.0, 60004.0],
                "flux": [1.0, np.nan, np.inf, 4.0, 1e35],
                "error": [1.0, 1.0, 1.0, -1.0, 1.0],
            },
            {"mjd": [60000.0, np.nan], "flux": 5.0},
            {"mjd": [60000.0], "error": np.nan},
        )
    )
    assert tokens.offsets.tolist() == [0, 1, 2, 2]
    assert np.isfinite(tokens.values).all()
    assert (tokens.values[:, DAYS] == 0).all()


def test_batches_hold_every_alert_once_and_pad_with_zeros() -> None:
    tokens = tokenise(random_curves([3, 0, 30, 9, 64, 12, 1], limits=0.1))
    seen = []
    for alerts, values in tokens.batches(2, step=8):
        seen += alerts.tolist()
        assert values.shape[1] % 8 == 0
        assert values.shape[1] > 0
        for alert, padded in zip(alerts, values, strict=True):
            own = tokens.values[tokens.offsets[alert] : tokens.offsets[alert + 1]]
            np.testing.assert_array_equal(padded[: len(own)], own)
            assert not padded[len(own) :].any()
    assert sorted(seen) == list(range(7))


def test_no_alerts_have_no_tokens() -> None:
    tokens = tokenise(random_curves([]))
    assert len(tokens) == 0
    assert list(tokens.batches(8)) == []
