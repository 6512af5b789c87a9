# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the letterbox compares, and what it says that a GPU must move."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.benchmarks._kernels_letterbox import CASES, LARGEST_DIFFERENCE, Case, measure


def test_both_sides_come_to_the_same() -> None:
    figures = measure(quick=True, device="cpu")
    assert figures["letterbox_largest_difference"] <= LARGEST_DIFFERENCE
    assert set(figures["letterbox_cases"]) == {case.name for case in CASES}
    assert figures["letterbox_speedup_vs_cv2_chain"] == min(
        case["speedup"] for case in figures["letterbox_cases"].values()
    )


def test_a_chain_that_comes_to_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from lowlat_nodes.benchmarks import _kernels_letterbox

    chain = _kernels_letterbox._chain
    monkeypatch.setattr(_kernels_letterbox, "_chain", lambda *arguments: chain(*arguments) + np.float32(1e-3))
    with pytest.raises(AssertionError, match="both sides differ by"):
        measure(quick=True, device="cpu")


@pytest.mark.parametrize(
    ("case", "read"),
    [
        (CASES[0], 360 * 5760),  # one row of three, of which each sector has one pixel of three
        (CASES[1], 336 * 1920),  # two rows for each row of the target
        (Case("all", 1, 320, 320, 320), 320 * 960),
    ],
)
def test_what_must_be_moved(case: Case, read: int) -> None:
    assert case.moved_bytes == read + 3 * case.side**2 * 2
