# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every implementation of `gaussian_process` computes what the book says, and the book agrees with george."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.gaussian_process import Posterior

TOLERANCE = 1e-9  # of the amplitude, and of its square
COUNTS = [*range(18), 31, 32, 33, 64, 65, 100, 127, 128, 150]
IMPLEMENTATIONS = [pytest.param("cpu", marks=pytest.mark.numba), "batched"]


def assert_close(found: Posterior, expected: Posterior, amplitudes: np.ndarray) -> None:
    scale = amplitudes[:, None, None]
    np.testing.assert_allclose(found.mean / scale, expected.mean / scale, rtol=0.0, atol=TOLERANCE)
    np.testing.assert_allclose(
        found.variance / scale**2, expected.variance / scale**2, rtol=0.0, atol=TOLERANCE
    )
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_curves_of_all_lengths(implementation: str, batch: Callable[..., Any]) -> None:
    given = batch(COUNTS, seed=1)
    assert_close(given.by(implementation), given.by("ref"), given.amplitudes)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("steps", "colours"), [(1, 1), (1, 3), (7, 1), (16, 1), (5, 4), (33, 2)])
def test_any_number_of_queries(
    implementation: str, steps: int, colours: int, batch: Callable[..., Any]
) -> None:
    given = batch([0, 5, 21], seed=2)
    given.query_wavelengths = np.linspace(0.3, 1.0, colours)
    found = given.by(implementation, steps=steps)
    assert found.mean.shape == found.variance.shape == (3, steps, colours)
    assert_close(found, given.by("ref", steps=steps), given.amplitudes)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_times_of_the_callers_choice(implementation: str, batch: Callable[..., Any]) -> None:
    given = batch([0, 1, 9, 40], seed=3)
    times = np.random.default_rng(3).uniform(58900.0, 59300.0, (4, 11))
    found = given.by(implementation, query_times=times)
    assert found.mean.shape == (4, 11, 2)
    assert_close(found, given.by("ref", query_times=times), given.amplitudes)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("unit", [1e-30, 1e12, 1e80])
def test_values_of_all_sizes(implementation: str, unit: float, batch: Callable[..., Any]) -> None:
    given = batch([3, 20, 64], seed=4, unit=unit)
    assert_close(given.by(implementation), given.by("ref"), given.amplitudes)


@pytest.mark.parametrize("implementation", ["ref", *IMPLEMENTATIONS])
def test_the_epoch_that_times_count_from_does_not_matter(
    implementation: str, batch: Callable[..., Any]
) -> None:
    given = batch([20], seed=13)
    seconds = np.arange(20.0)
    given.time_scales[:] = 5.0
    expected = given.with_curves(times=seconds).by("ref", steps=9)
    found = given.with_curves(times=2.0**40 + seconds).by(implementation, steps=9)
    assert_close(found, expected, given.amplitudes)


@pytest.mark.parametrize("implementation", ["ref", *IMPLEMENTATIONS])
def test_far_from_all_epochs_the_process_is_as_before(implementation: str, batch: Callable[..., Any]) -> None:
    given = batch([0, 12], seed=5)
    found = given.by(implementation, query_times=np.full((2, 1), 1e6))
    np.testing.assert_allclose(found.mean, 0.0, atol=1e-12)
    np.testing.assert_allclose(
        found.variance, np.broadcast_to(given.amplitudes[:, None, None] ** 2, (2, 1, 2))
    )
    assert found.log_likelihood[0] == 0.0


@pytest.mark.parametrize("implementation", ["ref", *IMPLEMENTATIONS])
def test_without_noise_it_goes_through_the_values(implementation: str, batch: Callable[..., Any]) -> None:
    given = batch([8], seed=6)
    times = np.arange(8.0) * 10.0
    wavelengths = np.full(8, 0.48)
    given = given.with_curves(times=times, wavelengths=wavelengths, variances=np.full(8, 1e-18))
    found = given.by(implementation, query_times=times[None])
    np.testing.assert_allclose(found.mean[0, :, 0], given.curves.values, rtol=1e-6)
    assert np.all(found.variance[0, :, 0] < 1e-8)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_floor_keeps_a_repeated_epoch_from_breaking_the_factorisation(
    implementation: str, batch: Callable[..., Any]
) -> None:
    given = batch([40], seed=7)
    one = np.zeros(40)
    given = given.with_curves(times=one, wavelengths=one, variances=np.full(40, 1e-300))
    found = given.by(implementation, floor=1e-6)
    assert np.isfinite(found.mean).all()
    assert_close(found, given.by("ref", floor=1e-6), given.amplitudes)
    expected = given.with_curves(variances=np.full(40, 1e-6 * given.amplitudes[0] ** 2)).by("ref", floor=0.0)
    assert_close(found, expected, given.amplitudes)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_results_go_where_they_should_and_nowhere_else(
    implementation: str, batch: Callable[..., Any]
) -> None:
    given = batch([5, 0, 18, 33], seed=8)
    expected = given.by("ref", steps=9)
    guarded = [np.full(size + 2 * 64, np.nan) for size in (4 * 9 * 2, 4 * 9 * 2, 4)]
    shapes = ((4, 9, 2), (4, 9, 2), (4,))
    out = Posterior(*(each[64:-64].reshape(shape) for each, shape in zip(guarded, shapes, strict=True)))
    found = given.by(implementation, steps=9, out=out)
    assert all(one is other for one, other in zip(found, out, strict=True))
    assert_close(found, expected, given.amplitudes)
    for each in guarded:
        assert np.isnan(each[:64]).all()
        assert np.isnan(each[-64:]).all()


@pytest.mark.numba
def test_results_do_not_depend_on_the_rest_of_the_batch(batch: Callable[..., Any]) -> None:
    """As buffers are used again for each curve."""
    long, short = batch([150], seed=9), batch([10], seed=10)
    together = batch([150, 10, 150], seed=9)
    for name in ("times", "wavelengths", "values", "variances"):
        parts = [getattr(each.curves, name) for each in (long, short, long)]
        together = together.with_curves(**{name: np.concatenate(parts)})
    for name in ("amplitudes", "time_scales"):
        setattr(together, name, np.concatenate([getattr(each, name) for each in (long, short, long)]))
    found = together.by("cpu")
    for number, alone in enumerate((long, short, long)):
        for one, other in zip(alone.by("cpu"), found, strict=True):
            np.testing.assert_array_equal(one[0], other[number])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_inputs_may_be_of_others_and_anywhere_in_memory(
    implementation: str, batch: Callable[..., Any]
) -> None:
    given = batch([3, 12], seed=12)
    expected = given.by("ref")
    for name in ("offsets", "times", "wavelengths", "values", "variances"):
        array = getattr(given.curves, name)
        anywhere = np.frombuffer(b"x" + array.tobytes(), np.uint8)[1:].view(array.dtype)
        assert not anywhere.flags.writeable
        assert not anywhere.flags.aligned
        given = given.with_curves(**{name: anywhere})
    given.amplitudes.flags.writeable = given.time_scales.flags.writeable = False
    assert_close(given.by(implementation), expected, given.amplitudes)


def test_the_book_agrees_with_george(batch: Callable[..., Any]) -> None:
    george = pytest.importorskip("george")
    given = batch([1, 2, 30], seed=11)
    found = given.by("ref")
    curves = given.curves
    for number in range(3):
        rows = slice(curves.offsets[number], curves.offsets[number + 1])
        times, values = curves.times[rows], curves.values[rows]
        amplitude, scale = given.amplitudes[number], given.time_scales[number]
        process = george.GP(amplitude**2 * george.kernels.Matern32Kernel([scale**2, 0.6**2], ndim=2))
        process.compute(np.stack([times, curves.wavelengths[rows]], axis=1), np.sqrt(curves.variances[rows]))
        at = np.linspace(times.min(), times.max(), 100)
        queries = np.stack([np.repeat(at, 2), np.tile(given.query_wavelengths, 100)], axis=1)
        mean, variance = process.predict(values, queries, return_var=True)
        np.testing.assert_allclose(found.mean[number].ravel(), mean, atol=1e-8)
        np.testing.assert_allclose(found.variance[number].ravel(), variance, atol=1e-8)
        assert found.log_likelihood[number] == pytest.approx(process.log_likelihood(values), rel=1e-8)
