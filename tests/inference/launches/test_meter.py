# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a running node says of its launches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulated_gpu import SimulatedGpu

from lowlat_nodes.inference.launches.figures import figures
from lowlat_nodes.inference.launches.meter import LaunchMeter, bound
from lowlat_nodes.inference.launches.trace import trace_of
from lowlat_nodes.inference.launches.verdict import verdict
from lowlat_nodes.inference.model import LaunchTimes


def test_nothing_is_said_while_nothing_is_known() -> None:
    meter = LaunchMeter()
    assert meter.values() == {}
    for submit_us, device_us in ((math.nan, 5.0), (5.0, math.nan), (-1.0, 5.0), (5.0, math.inf), (5.0, 0.0)):
        meter.record(submit_us, device_us)
    assert meter.values() == {}
    meter.record(5.0, 5.0)
    assert meter.values() != {}
    meter.clear()
    assert meter.values() == {}


def test_values_are_medians_of_the_newest() -> None:
    meter = LaunchMeter(recent=5)
    for submit_us in range(100):
        meter.record(float(submit_us), 1000.0)
    meter.record(9e9, 1000.0)  # one that was held up
    assert meter.values() == {
        "launch.submit_us": 98.0,
        "launch.device_us": 1000.0,
        "launch.bound": "gpu",
    }


@pytest.mark.parametrize("kernel_us", np.random.default_rng(4).uniform(0.5, 60.0, 12))
def test_the_bound_is_that_of_a_trace(kernel_us: float) -> None:
    gpu = SimulatedGpu()
    with gpu.inference(1):
        for _ in range(200):
            gpu.launch(kernel_us)
    (found,) = figures(trace_of(gpu.events))
    assert 8.0 < kernel_us < 13.0 or bound(LaunchTimes(found.submit_us, found.busy_us + found.gap_us)) == (
        verdict([found]).bound
    )


def test_a_graph_is_bound_by_the_device_unless_it_is_tiny() -> None:
    assert bound(LaunchTimes(40.0, 9000.0)) == "gpu"
    assert bound(LaunchTimes(9000.0, 9010.0)) == "cpu"
    assert bound(LaunchTimes(40.0, 41.0)) == "cpu"
