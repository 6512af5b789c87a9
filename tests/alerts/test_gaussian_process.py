# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Our batched Gaussian process is george's, one light curve at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowlat_nodes.alerts import gaussian_process as module
from lowlat_nodes.alerts.gaussian_process import STEPS, TIME_SCALE_DAYS, interpolate
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES, WAVELENGTHS_UM
from lowlat_nodes.kernels.gaussian_process import gaussian_process, gaussian_process_likelihood

WAVELENGTHS = (0.48, 0.64)


def light_curves(counts: list[int], seed: int = 0) -> LightCurves:
    """Rises and falls of random widths, in random passbands."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = int(offsets[-1])
    mjd = np.concatenate([np.sort(random.uniform(0.0, 80.0, count)) for count in counts] or [np.zeros(0)])
    width = np.repeat(random.uniform(3.0, 60.0, len(counts)), counts)
    error = random.uniform(300.0, 3000.0, total)
    flux = 5e4 * np.exp(-0.5 * ((mjd - 30.0) / width) ** 2) + error * random.standard_normal(total)
    return LightCurves(
        alert_id=np.arange(len(counts)),
        object_id=[f"object{number}" for number in range(len(counts))],
        offsets=offsets,
        mjd=59000.0 + mjd,
        band=random.choice([CODES["ztf_g"], CODES["ztf_r"], CODES["lsst_z"]], total).astype(np.uint8),
        flux_njy=flux,
        error_njy=error,
        detected=np.ones(total, bool),
    )


def one_of(curves: LightCurves, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points [m, 2] in days and um, fluxes, errors of one light curve."""
    rows = slice(curves.offsets[number], curves.offsets[number + 1])
    points = np.stack([curves.mjd[rows] - curves.mjd[rows][0], WAVELENGTHS_UM[curves.band[rows]]], axis=1)
    return points, curves.flux_njy[rows], curves.error_njy[rows]


def george_process(points: np.ndarray, error: np.ndarray, amplitude: float, days: float) -> Any:
    george = pytest.importorskip("george")
    process = george.GP(amplitude**2 * george.kernels.Matern32Kernel([days**2, 0.6**2], ndim=2))
    process.compute(points, error)
    return process


@pytest.mark.parametrize("fitted", [False, True])
def test_mean_error_and_likelihood_are_those_of_george(fitted: bool) -> None:
    curves = light_curves([1, 2, 3, 7, 8, 9, 20, 40, 70, 100])
    made = interpolate(curves, WAVELENGTHS, fitted=fitted)
    for number in range(len(curves)):
        points, flux, error = one_of(curves, number)
        amplitude, days = made.amplitude_njy[number], made.time_scale_days[number]
        process = george_process(points, error, amplitude, days)
        at = np.linspace(0.0, points[-1, 0], STEPS)
        queries = np.stack([np.repeat(at, 2), np.tile(WAVELENGTHS, STEPS)], axis=1)
        mean, variance = process.predict(flux, queries, return_var=True)
        scale = np.abs(flux).max()
        np.testing.assert_allclose(made.flux_njy[number].ravel(), mean, atol=1e-7 * scale)
        np.testing.assert_allclose(
            made.error_njy[number].ravel(), np.sqrt(np.maximum(variance, 0.0)), atol=1e-5 * scale
        )
        assert made.log_likelihood[number] == pytest.approx(process.log_likelihood(flux), abs=1e-5)
        assert made.span_days[number] == pytest.approx(points[-1, 0])


def test_the_first_guess_is_that_of_t2() -> None:
    curves = light_curves([12, 30])
    made = interpolate(curves, WAVELENGTHS, fitted=False)
    for number in range(2):
        _, flux, error = one_of(curves, number)
        significance = np.abs(flux) / np.hypot(error, 0.01 * flux.max())
        assert made.amplitude_njy[number] == pytest.approx(0.5 * abs(flux[significance.argmax()]))
        assert made.time_scale_days[number] == pytest.approx(TIME_SCALE_DAYS)


def test_the_fit_is_as_likely_as_that_of_a_gradient_method() -> None:
    optimise = pytest.importorskip("scipy.optimize")
    curves = light_curves([5, 9, 14, 25, 40, 60], seed=1)
    first, made = (interpolate(curves, WAVELENGTHS, fitted=fitted) for fitted in (False, True))
    assert np.all(made.log_likelihood >= first.log_likelihood)
    for number in range(len(curves)):
        points, flux, error = one_of(curves, number)
        process = george_process(points, error, first.amplitude_njy[number], TIME_SCALE_DAYS)
        process.freeze_parameter("kernel:k2:metric:log_M_1_1")
        start = process.get_parameter_vector()

        def loss(at: np.ndarray, process: Any = process, flux: np.ndarray = flux) -> float:
            process.set_parameter_vector(at)
            value = process.log_likelihood(flux, quiet=True)
            return -value if np.isfinite(value) else 1e25

        bounds = [(start[0] - 10.0, start[0] + 10.0), (0.0, np.log(1000.0**2))]
        found = optimise.minimize(loss, start, method="L-BFGS-B", bounds=bounds)
        assert made.log_likelihood[number] > -found.fun - 0.1


def test_a_light_curve_does_not_depend_on_its_batch() -> None:
    counts = [3, 30, 4, 29, 0, 64, 5]
    together = interpolate(light_curves(counts), WAVELENGTHS)
    curves = light_curves(counts)
    for number in range(len(counts)):
        rows = slice(curves.offsets[number], curves.offsets[number + 1])
        alone = LightCurves(
            curves.alert_id[[number]],
            [curves.object_id[number]],
            np.array([0, counts[number]]),
            *(getattr(curves, name)[rows] for name in ("mjd", "band", "flux_njy", "error_njy", "detected")),
        )
        single = interpolate(alone, WAVELENGTHS)
        np.testing.assert_allclose(single.flux_njy[0], together.flux_njy[number], rtol=1e-6, atol=1e-3)


@pytest.mark.numba
def test_without_numba_the_result_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = light_curves([3, 0, 30, 64, 5], seed=2)
    compiled = interpolate(curves, WAVELENGTHS)
    monkeypatch.setattr(module, "gaussian_process", gaussian_process.on("batched"))
    monkeypatch.setattr(
        module, "gaussian_process_likelihood", gaussian_process_likelihood.on("likelihood_batched")
    )
    by_numpy = interpolate(curves, WAVELENGTHS)
    for name in ("amplitude_njy", "time_scale_days", "log_likelihood", "span_days"):
        np.testing.assert_allclose(getattr(compiled, name), getattr(by_numpy, name), rtol=1e-9)
    for name in ("flux_njy", "error_njy"):
        np.testing.assert_allclose(getattr(compiled, name), getattr(by_numpy, name), rtol=1e-6, atol=1e-2)


def test_no_epochs_are_zero_and_one_epoch_has_no_span() -> None:
    made = interpolate(light_curves([0, 1]), WAVELENGTHS)
    assert not made.flux_njy[0].any()
    assert not made.error_njy[0].any()
    assert not made.span_days.any()
    assert np.ptp(made.flux_njy[1], axis=0).max() < 1e-6
    assert interpolate(light_curves([]), WAVELENGTHS).flux_njy.shape == (0, STEPS, 2)


def test_fluxes_of_zero_and_tiny_errors_have_a_result() -> None:
    curves = light_curves([10, 10])
    curves.flux_njy[:10] = 0.0
    curves.error_njy[10:] = 1e-9
    curves.mjd[10:] = curves.mjd[10]
    made = interpolate(curves, WAVELENGTHS)
    assert np.isfinite(made.flux_njy).all()
    assert np.isfinite(made.error_njy).all()
