# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Merged actions lead to the same places as the fine ones, at any length."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.control.quantise import quantise

ABSOLUTE, DELTA = np.array([False, False]), np.array([True, True])


@st.composite
def chunks(draw: st.DrawFn) -> tuple[np.ndarray, int, np.ndarray]:
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**16))
    actions = np.random.default_rng(seed).normal(size=(rows, columns))
    delta = np.array(draw(st.lists(st.booleans(), min_size=columns, max_size=columns)))
    return actions, draw(st.integers(1, 8)), delta


@given(chunks())
def test_ends_of_groups_are_reached(case: tuple[np.ndarray, int, np.ndarray]) -> None:
    actions, q, delta = case
    merged = quantise(actions, q, delta)
    assert merged.shape == (math.ceil(len(actions) / q), actions.shape[1])
    ends = [min(len(actions), (group + 1) * q) - 1 for group in range(len(merged))]
    np.testing.assert_array_equal(merged[:, ~delta], actions[ends][:, ~delta])
    travelled = np.cumsum(actions[:, delta], axis=0)
    np.testing.assert_allclose(np.cumsum(merged[:, delta], axis=0), travelled[ends], atol=1e-12)


def test_one_by_one_changes_nothing() -> None:
    actions = np.random.default_rng(1).normal(size=(7, 2))
    for delta in (ABSOLUTE, DELTA):
        np.testing.assert_array_equal(quantise(actions, 1, delta), actions)


def test_a_gripper_keeps_its_last_word_while_the_arm_sums() -> None:
    actions = np.array([[0.1, 1.0], [0.2, 1.0], [0.3, 0.0], [0.4, 0.0], [0.5, 1.0]])
    merged = quantise(actions, 2, np.array([True, False]))
    np.testing.assert_allclose(merged, [[0.3, 1.0], [0.7, 0.0], [0.5, 1.0]])


def test_the_input_is_left_alone() -> None:
    actions = np.ones((4, 2))
    quantise(actions, 2, DELTA)[:] = 9.0
    assert (actions == 1.0).all()


def test_no_actions_give_no_rows() -> None:
    assert quantise(np.ones((0, 2)), 2, DELTA).shape == (0, 2)


@pytest.mark.parametrize("q", [0, -1])
def test_groups_of_nothing_are_refused(q: int) -> None:
    with pytest.raises(ValueError, match="expected q >= 1"):
        quantise(np.ones((4, 2)), q, ABSOLUTE)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[H, A\]"):
        quantise(np.ones((4, 3)), 2, ABSOLUTE)
    with pytest.raises(ValueError, match=r"\[H, A\]"):
        quantise(np.ones(4), 2, ABSOLUTE)
