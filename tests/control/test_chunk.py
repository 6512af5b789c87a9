# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Sampling of chunks, and deltas as absolute targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lowlat_nodes.control.chunk import Chunk, absolute, relative

CHUNK = Chunk(0, 1000, 100, np.array([[0.0, 0.0], [1.0, -1.0], [3.0, -3.0]]))


@pytest.mark.parametrize(
    ("now_ns", "expected"),
    [(0, 0.0), (1000, 0.0), (1050, 0.5), (1100, 1.0), (1150, 2.0), (1200, 3.0), (1299, 3.0), (5000, 3.0)],
)
def test_sample_lies_on_the_line_between_rows_and_stays_at_the_ends(now_ns: int, expected: float) -> None:
    assert CHUNK.sample(now_ns) == pytest.approx([expected, -expected])


def test_many_samples_are_the_same_as_one_by_one() -> None:
    chunk = Chunk(0, 1000, 7, np.random.default_rng(3).normal(size=(20, 3)))
    times_ns = np.arange(1000, chunk.last_ns + 1)
    np.testing.assert_array_equal(chunk.sample_all(times_ns), [chunk.sample(int(now)) for now in times_ns])


def test_last_row_holds_for_one_period() -> None:
    assert CHUNK.end_ns == 1300


def test_deltas_add_up_from_the_base_and_absolutes_stay() -> None:
    actions = np.array([[0.1, 5.0], [0.2, 6.0]])
    targets = absolute(actions, np.array([True, False]), np.array([1.0, 99.0]))
    assert targets == pytest.approx(np.array([[1.1, 5.0], [1.3, 6.0]]))
    assert actions[0, 0] == 0.1


@given(
    arrays(np.float64, st.tuples(st.integers(0, 20), st.just(3)), elements=st.floats(-1e3, 1e3)),
    arrays(np.bool_, 3),
    arrays(np.float64, 3, elements=st.floats(-1e3, 1e3)),
)
def test_relative_is_the_reverse_of_absolute(
    targets: np.ndarray, delta: np.ndarray, base: np.ndarray
) -> None:
    actions = relative(targets, delta, base)
    assert absolute(actions, delta, base) == pytest.approx(targets, abs=1e-9)
    assert np.array_equal(actions[:, ~delta], targets[:, ~delta])
    assert not np.shares_memory(actions, targets)
