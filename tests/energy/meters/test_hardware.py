# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The real meters of a machine that has some; elsewhere nothing is tested, and the report says so."""

from __future__ import annotations

import os
import time

import pytest

from lowlat_nodes.energy.meters.discovery import MeterSettings, find_meters
from lowlat_nodes.energy.meters.sysfs import ROOT_VARIABLE
from lowlat_nodes.stream.meter import Kind


def test_meters_of_this_machine_count_watts_and_a_whole_is_more_than_its_part() -> None:
    if ROOT_VARIABLE in os.environ:
        pytest.skip(f"${ROOT_VARIABLE} is set: its tree is no hardware")
    settings = MeterSettings(without=("nvml/",), model_busy_w=0.0)  # GPUs have a test of their own
    meters = {meter.name: meter for meter in find_meters(settings).meters}
    if not meters:
        pytest.skip("this machine has no meter that this user may read; nothing was tested")
    first = {name: meter.read() for name, meter in meters.items()}
    for _ in range(20):
        time.sleep(0.1)
        last = {name: meter.read() for name, meter in meters.items()}
    watts = {
        name: (reading.joules - first[name].joules) * 1e9 / (reading.time_ns - first[name].time_ns)
        for name, reading in last.items()
        if reading.kind is Kind.MEASURED
    }
    print(watts)
    assert all(0.0 < value < 2000.0 for value in watts.values())
    for name, meter in meters.items():
        if name in watts and meter.part_of in watts:
            assert watts[name] < 1.1 * watts[meter.part_of]
    for meter in meters.values():
        assert meter.fake == ""
        meter.close()
