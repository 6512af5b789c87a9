# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of the launch profiler, quickly, and its sweep where nothing is launched."""

from __future__ import annotations

import pytest

from lowlat_nodes.benchmarks._kernels_profile import measure, sweep


def test_the_meter_costs_a_node_little() -> None:
    figures = measure(quick=True, device="cpu")
    assert figures.keys() == {"launch_meter_us"}
    assert 0.0 < figures["launch_meter_us"] < 100.0


@pytest.mark.torch
def test_the_sweep_runs_each_batch_size() -> None:
    torch = pytest.importorskip("torch")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = sweep([1, 3], 2, device, layers=2, width=16)
    assert [(each["batch"], each["inferences"]) for each in found["batches"]] == [(1, 2), (3, 2)]
    assert (found["bound"] == "none") == (device == "cpu")
    assert torch.backends.mha.get_fastpath_enabled()
