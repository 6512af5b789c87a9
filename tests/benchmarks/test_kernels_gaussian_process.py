# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark compares equal results, and its floor is what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lowlat_nodes.benchmarks import _kernels_gaussian_process as benchmark


@pytest.mark.numba
def test_both_sides_are_timed_and_equal(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("george")
    benchmark.compare(4)
    figures = json.loads(capsys.readouterr().out)
    assert figures["gp_curves"] == 4
    assert figures["gp_queries"] == 200
    assert figures["gp_largest_difference"] < 1e-8
    for name in (
        "gp_speedup_vs_george",
        "gp_us_per_curve",
        "gp_george_us_per_curve",
        "gp_us_per_curve_numpy",
    ):
        assert figures[name] > 0.0


def test_results_that_differ_are_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("george")
    honest = benchmark.Sample.george

    def off(self: benchmark.Sample) -> object:
        return lambda: [(mean + 1e-5, variance) for mean, variance in honest(self)()]

    monkeypatch.setattr(benchmark.Sample, "george", off)
    monkeypatch.setattr(
        benchmark.Sample, "ours", lambda self, _, ours=benchmark.Sample.ours: ours(self, "batched")
    )
    with pytest.raises(AssertionError, match="ours and george differ"):
        benchmark.compare(2)
    assert not capsys.readouterr().out


def test_the_sample_has_all_lengths() -> None:
    counts = benchmark.Sample.of(2000).curves.counts
    assert (counts.min(), counts.max()) == (12, 150)


def test_the_floor_is_the_longer_of_moving_and_computing() -> None:
    counts = np.array([2, 10])
    moved = 12 * 32 + 2 * (200 * 8 + 28)
    computed = sum(m**3 / 3 + 200 * m**2 + 800 * m + 10 * (m**2 / 2 + 200 * m) for m in (2, 10))
    assert benchmark.floor(counts, 1.0, 1e30) == pytest.approx(moved)
    assert benchmark.floor(counts, 1e30, 1.0) == pytest.approx(computed)
