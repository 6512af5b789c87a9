# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The weights of rows that continue a plan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.control.prefix import hard_prefix, soft_prefix


def test_hard_prefix() -> None:
    assert hard_prefix(2, 4).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_soft_prefix_is_the_papers_equation() -> None:
    # H = 8, d = 2, s = 3: c_i = (H - s - i) / (H - s - d + 1), weight c (e^c - 1) / (e - 1)
    c = np.array([(5 - i) / 4 for i in (2, 3, 4)])
    expected = [1.0, 1.0, *(c * (np.exp(c) - 1) / (np.e - 1)), 0.0, 0.0, 0.0]
    assert soft_prefix(2, 5, 8) == pytest.approx(expected)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40))
def test_soft_prefix_falls_from_one_to_zero(committed: int, known: int, rows: int) -> None:
    weights = soft_prefix(committed, known, rows)
    assert weights.shape == (rows,)
    assert (np.diff(weights) <= 0.0).all()
    assert ((weights >= 0.0) & (weights <= 1.0)).all()
    assert (weights[known:] == 0.0).all()
    assert (weights[: min(committed, known)] == 1.0).all()
