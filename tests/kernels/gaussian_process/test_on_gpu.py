# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The implementation for GPUs, in Triton's interpreter, computes what the book says, in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.gaussian_process import IN_TORCH, Posterior

pytestmark = [pytest.mark.torch, pytest.mark.triton]

TOLERANCE = 1e-3  # of the amplitude, and of its square: noise is 1e-4 of that and more


def assert_close(found: Posterior, expected: Posterior, amplitudes: np.ndarray) -> None:
    scale = amplitudes[:, None, None]
    assert all(each.dtype == np.float32 for each in found)
    np.testing.assert_allclose(found.mean / scale, expected.mean / scale, rtol=0.0, atol=TOLERANCE)
    np.testing.assert_allclose(
        found.variance / scale**2, expected.variance / scale**2, rtol=0.0, atol=TOLERANCE
    )
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=2e-3, atol=0.1)


def test_curves_of_all_lengths_go_where_they_should_and_nowhere_else(batch: Callable[..., Any]) -> None:
    given = batch([0, 70, 1, 33, 2, 32, 31, 0], seed=1)
    given.query_wavelengths = np.array([0.4, 0.64, 0.9])
    shapes = ((8, 25, 3), (8, 25, 3), (8,))  # more than one load of queries
    guarded = [np.full(np.prod(shape) + 2 * 64, np.nan, np.float32) for shape in shapes]
    out = Posterior(*(each[64:-64].reshape(shape) for each, shape in zip(guarded, shapes, strict=True)))
    found = given.by("cuda", steps=25, out=out)
    assert all(np.shares_memory(one, other) for one, other in zip(found, out, strict=True))
    assert_close(out, given.by("ref", steps=25), given.amplitudes)
    for each in guarded:
        assert np.isnan(each[:64]).all()
        assert np.isnan(each[-64:]).all()


def test_times_of_the_callers_choice(batch: Callable[..., Any]) -> None:
    given = batch([0, 40, 3], seed=2)
    times = np.random.default_rng(2).uniform(58900.0, 59300.0, (3, 7))
    assert_close(given.by("cuda", query_times=times), given.by("ref", query_times=times), given.amplitudes)


@pytest.mark.parametrize("unit", [1e-14, 1e14])
def test_values_of_all_sizes(unit: float, batch: Callable[..., Any]) -> None:
    given = batch([20], seed=3, unit=unit)
    assert_close(given.by("cuda", steps=5), given.by("ref", steps=5), given.amplitudes)


def test_scales_of_all_sizes(batch: Callable[..., Any]) -> None:
    given = batch([5, 5], seed=4)
    given.time_scales = np.array([1e-30, 1e30])
    given.wavelength_scale = 1e-30
    with np.errstate(over="ignore"):  # squares of distances are infinite here
        found = given.by("cuda", steps=1)
    assert_close(found, given.by("ref", steps=1), given.amplitudes)


def test_the_floor_keeps_repeated_epochs_from_breaking_the_factorisation(batch: Callable[..., Any]) -> None:
    given = batch([100], seed=5)
    one = np.zeros(100)
    given = given.with_curves(times=one, wavelengths=one, variances=np.full(100, 1e-300))
    found, expected = given.by("cuda", steps=1), given.by("ref", steps=1, floor=1e-4)
    scale = given.amplitudes[0]
    np.testing.assert_allclose(found.mean / scale, expected.mean / scale, atol=0.01)
    np.testing.assert_allclose(found.variance / scale**2, expected.variance / scale**2, atol=1e-4)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (
            [IN_TORCH.epochs + 1],
            {},
            r"at most 512 epochs, got one of 513 .*keep the newest, or give arrays of NumPy",
        ),
        ([4], {"query_times": np.full((1, 2), np.inf)}, "query_times: expected finite numbers, got inf"),
        ([4], {"steps": 7}, r"out.mean: expected the shape \[1, 7, 2\]"),
    ],
)
def test_what_is_refused_leaves_the_result_untouched(
    counts: list[int], options: dict[str, Any], message: str, batch: Callable[..., Any]
) -> None:
    out = Posterior(*(np.full(shape, np.nan, np.float32) for shape in ((1, 2, 2), (1, 2, 2), (1,))))
    with pytest.raises(BadArgument, match=message):
        batch(counts).by("cuda", out=out, **{"steps": 2, **options})
    assert all(np.isnan(each).all() for each in out)


def test_results_in_float64_are_refused(batch: Callable[..., Any]) -> None:
    out = Posterior(np.empty((1, 2, 2)), np.empty((1, 2, 2)), np.empty(1))
    with pytest.raises(BadArgument, match=r"out\.mean: expected float32, got float64"):
        batch([4]).by("cuda", steps=2, out=out)


def test_numpy_does_not_take_tensors(batch: Callable[..., Any]) -> None:
    from lowlat_nodes.kernels.gaussian_process import Curves, gaussian_process

    given = batch([4])
    import torch

    arrays = [torch.from_numpy(getattr(given.curves, name)) for name in Curves.__slots__]
    parameters = [torch.from_numpy(each) for each in (given.amplitudes, given.time_scales)]
    with pytest.raises(BadArgument, match="expected arrays of NumPy on the CPU, got tensors"):
        gaussian_process(Curves(*arrays), *parameters, 0.6, torch.from_numpy(given.query_wavelengths))
