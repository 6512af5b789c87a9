# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every implementation of `gaussian_process_likelihood` computes what the book says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.gaussian_process import gaussian_process_likelihood

IMPLEMENTATIONS = [pytest.param("likelihood_cpu", marks=pytest.mark.numba), "likelihood_batched"]


def grid(given: Any, amplitudes: int = 3, time_scales: int = 2) -> tuple[Any, ...]:
    return (
        given.curves,
        given.amplitudes[:, None] * np.geomspace(0.1, 10.0, amplitudes),
        given.time_scales[:, None] * np.geomspace(0.5, 4.0, time_scales),
        given.wavelength_scale,
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_curves_of_all_lengths(implementation: str, batch: Callable[..., Any]) -> None:
    given = grid(batch([*range(18), 33, 64, 100], seed=1))
    found = gaussian_process_likelihood.on(implementation)(*given)
    assert found.shape == (21, 2, 3)
    assert not found[0].any()
    expected = gaussian_process_likelihood.on("ref")(*given)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_it_is_that_of_the_interpolation(implementation: str, batch: Callable[..., Any]) -> None:
    given = batch([3, 9], seed=2)
    found = gaussian_process_likelihood.on(implementation)(*grid(given, amplitudes=1, time_scales=1))
    given.amplitudes, given.time_scales = 0.1 * given.amplitudes, 0.5 * given.time_scales
    np.testing.assert_allclose(found[:, 0, 0], given.by("ref").log_likelihood, rtol=1e-9)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_results_go_where_they_should_and_nowhere_else(
    implementation: str, batch: Callable[..., Any]
) -> None:
    given = grid(batch([5, 0, 18], seed=3))
    guarded = np.full(18 + 128, np.nan)
    out = guarded[64:-64].reshape(3, 2, 3)
    found = gaussian_process_likelihood.on(implementation)(*given, out=out)
    assert found is out
    np.testing.assert_allclose(out, gaussian_process_likelihood.on("ref")(*given), rtol=1e-9, atol=1e-6)
    assert np.isnan(guarded[:64]).all()
    assert np.isnan(guarded[-64:]).all()


def test_a_result_of_another_shape_is_refused_untouched(batch: Callable[..., Any]) -> None:
    given = grid(batch([5]))
    out = np.full((1, 3, 2), np.nan)
    with pytest.raises(BadArgument, match=r"out: expected the shape \[1, 2, 3\]"):
        gaussian_process_likelihood(*given, out=out)
    assert np.isnan(out).all()
    with pytest.raises(BadArgument, match="amplitudes: expected 1e-100 to"):
        gaussian_process_likelihood(given[0], -given[1], *given[2:])
