# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What energy costs, as `lowlat bench energy` measures it, in miniature: no bars on a loaded machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lowlat_nodes.benchmarks._energy_sampler import NODES, measure


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return measure(quick=True)


def test_the_sampler_is_measured_beside_nodes_that_work(figures: dict[str, Any]) -> None:
    assert 0.0 < figures["sampler_cpu_share"] < 1.0
    details = figures["sampler"]
    assert details["nodes"] == NODES
    assert details["results_per_s"] > 0.0
    assert details["imbalance_j"] < 1e-6
    assert details["cpu_us_per_sample"] == pytest.approx(
        figures["sampler_cpu_share"] * 1e6 / details["rate_hz"]
    )


def test_its_meters_are_called_fake(figures: dict[str, Any]) -> None:
    meters = figures["sampler"]["meters"]
    assert meters["rapl/package-0"] == "measured, fake"
    assert all(said.endswith(", fake") for said in meters.values())
    assert "fake" in figures["sampler"]["simulated"]


def test_what_a_node_pays_for_a_result(figures: dict[str, Any]) -> None:
    assert 0.0 < figures["node_overhead_us"] <= figures["sampler"]["node_overhead_p99_us"]
    json.dumps(figures, allow_nan=False)
