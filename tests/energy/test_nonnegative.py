# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.energy.nonnegative import nonnegative


def problem(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A random problem, of which some solutions are bound."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(3 * count, count))
    return matrix / np.linalg.norm(matrix, axis=0), random.normal(size=3 * count)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 30))
def test_it_is_a_minimum(seed: int, count: int) -> None:
    matrix, wanted = problem(seed, count)
    gram, moment = matrix.T @ matrix, matrix.T @ wanted
    found = nonnegative(gram, moment)
    slope = gram @ found - moment
    assert (found >= 0.0).all()
    assert (slope >= -1e-9).all()
    assert abs(slope[found > 0.0]).max(initial=0.0) < 1e-9


@given(seed=st.integers(0, 2**32), count=st.integers(1, 30))
def test_it_is_what_scipy_finds(seed: int, count: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    matrix, wanted = problem(seed, count)
    expected, _ = optimize.nnls(matrix, wanted)
    np.testing.assert_allclose(nonnegative(matrix.T @ matrix, matrix.T @ wanted), expected, atol=1e-8)


def test_nothing_can_be_used() -> None:
    np.testing.assert_array_equal(nonnegative(np.eye(3), np.array([-1.0, -2.0, -3.0])), np.zeros(3))


def test_no_unknown_at_all() -> None:
    assert nonnegative(np.zeros((0, 0)), np.zeros(0)).shape == (0,)
