# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of detections compares equal results and says what it is said to say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from lowlat_nodes.benchmarks import _kernels_detections

pytestmark = [pytest.mark.torch, pytest.mark.numba]


def test_all_figures_of_a_cpu_are_there() -> None:
    figures = _kernels_detections.measure(quick=True, device="cpu")
    costs = figures.pop("postprocess_numba")
    assert set(figures) == {
        "postprocess_speedup_vs_torch",
        "postprocess_us",
        "postprocess_torch_us",
        "postprocess_numpy_us",
        "postprocess_decode_us",
    }
    assert min(figures.values()) > 0
    assert costs["start_s"] > 0
    assert costs["start_mb"] > 0


def test_unequal_results_are_no_figures() -> None:
    rows = np.tile(np.array([1.0, 2.0, 3.0, 4.0, 0.5, 7.0], np.float32), (20, 1))
    _kernels_detections._assert_equal("same", rows, rows)
    other = rows.copy()
    other[3, 5] = 8.0
    for found in (other, rows[:-1], rows * np.nan):
        with pytest.raises(AssertionError, match=r"other: its .* detections are not the 20 expected"):
            _kernels_detections._assert_equal("other", found, rows)
    with pytest.raises(AssertionError):
        _kernels_detections._assert_equal("few", rows[:3], rows[:3])
