# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What `lowlat bench kernels` says of policies as graphs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.benchmarks._kernels_graphed import measure

pytestmark = pytest.mark.torch


def test_on_a_cpu_it_is_what_the_wrapper_costs() -> None:
    figures = measure(quick=True, device="cpu")
    assert list(figures) == ["graphed"]
    assert 0.0 < figures["graphed"]["cpu_overhead_us"] < 1e5
    assert figures["graphed"]["cpu_bare_call_us"] > 0.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu_graphs_are_measured() -> None:
    # Of its own: the tests of kernels have Triton's interpreter in theirs.
    command = [
        sys.executable,
        "-m",
        "lowlat_nodes.benchmarks.kernels",
        "--part",
        "graphed",
        "--device",
        "cuda",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    result = subprocess.run(
        [*command, "--quick", "--json"], env=environment, capture_output=True, text=True, check=True
    )
    figures = json.loads(result.stdout)
    assert figures["graphed_policy_speedup_vs_eager"] > 0.0
    assert figures["host_submit_us"] > 0.0
    parts = figures["graphed"]
    for part in (parts["plain"], parts["our_kernels"]):
        assert part["largest_difference"] <= 0.05 * part["largest_action"]
    assert parts["h2d_overlap"]["copy_us"] > 0.0
