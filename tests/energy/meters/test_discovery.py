# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lowlat_nodes.energy.meters.discovery import MeterSettings, find_meters
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind, Meter


def _kinds(meters: tuple[Meter, ...]) -> dict[str, Kind]:
    return {meter.name: meter.read().kind for meter in meters}


def test_a_meter_counts_once_its_counter_moved(sysfs: Any, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    meters = find_meters(root=sysfs.root, clock=clock).meters
    assert _kinds(meters) == {"rapl/package-0": Kind.UNAVAILABLE, "model/cpu": Kind.UNAVAILABLE}
    clock.advance(100_000_000)
    sysfs.energy("intel-rapl:0", 2_000_000)
    assert _kinds(meters) == {"rapl/package-0": Kind.MEASURED, "model/cpu": Kind.UNAVAILABLE}
    assert "rapl/package-0" in meters[1].read().why


def test_a_dead_counter_never_counts_and_the_model_stands_in(sysfs: Any, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 0)
    meters = find_meters(root=sysfs.root, clock=clock).meters
    for _ in range(30):
        kinds = _kinds(meters)
        clock.advance(100_000_000)
    assert kinds == {"rapl/package-0": Kind.UNAVAILABLE, "model/cpu": Kind.MODELLED}
    assert "stood still for 3.0 s" in meters[0].read().why


def test_parts_belong_to_a_whole_that_counts(sysfs: Any, clock: ManualClock) -> None:
    """A platform counter that reads 0 for ever must not swallow the package."""
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    sysfs.zone("intel-rapl:0:0", "core", 1_000_000)
    sysfs.zone("intel-rapl:1", "psys", 0)
    meters = {meter.name: meter for meter in find_meters(root=sysfs.root, clock=clock).meters}
    for step in (2, 3):
        clock.advance(100_000_000)
        sysfs.energy("intel-rapl:0", step * 1_000_000)
        sysfs.energy("intel-rapl:0:0", step * 1_000_000)
        for meter in meters.values():
            meter.read()
    assert meters["rapl/psys"].read().kind is Kind.UNAVAILABLE
    assert meters["rapl/package-0"].part_of == ""
    assert meters["rapl/package-0/core"].part_of == "rapl/package-0"
    sysfs.energy("intel-rapl:1", 5_000_000)
    for meter in meters.values():
        meter.read()
    assert meters["rapl/package-0"].part_of == "rapl/psys"


def test_a_proved_counter_that_stops_is_unavailable_until_it_moves(sysfs: Any, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    (meter,) = find_meters(MeterSettings(model_busy_w=0.0), sysfs.root, clock).meters
    meter.read()
    sysfs.energy("intel-rapl:0", 2_000_000)
    assert meter.read().kind is Kind.MEASURED
    clock.advance(11_000_000_000)
    assert meter.read().kind is Kind.UNAVAILABLE
    sysfs.energy("intel-rapl:0", 3_000_000)
    reading = meter.read()
    assert (reading.kind, reading.joules) == (Kind.MEASURED, 2.0)


def test_nothing_but_the_model(sysfs: Any) -> None:
    found = find_meters(root=sysfs.root)
    (model,) = found.meters
    reading = model.read()
    assert (model.name, model.device, reading.kind) == ("model/cpu", "cpu", Kind.MODELLED)
    assert "0.74 W per idle and 3.5 W per busy" in reading.why
    assert model.fake == f"fake sysfs at {sysfs.root}"


def test_no_model_and_no_meter_is_nothing(sysfs: Any) -> None:
    assert find_meters(MeterSettings(model_busy_w=0.0), sysfs.root).meters == ()


def test_meters_can_be_left_out(sysfs: Any) -> None:
    sysfs.zone("intel-rapl:0", "package-0")
    sysfs.zone("intel-rapl:0:0", "core")
    found = find_meters(MeterSettings(without=("rapl/package-0/",)), sysfs.root)
    assert [meter.name for meter in found.meters] == ["rapl/package-0", "model/cpu"]
    assert found.missing[-1].name == "rapl/package-0/core"


def test_the_root_comes_from_the_environment(sysfs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sysfs.zone("intel-rapl:0", "package-0")
    monkeypatch.setenv("LOWLAT_SYSFS_ROOT", str(sysfs.root))
    assert find_meters().meters[0].fake == f"fake sysfs at {sysfs.root}"


def test_a_model_that_takes_less_for_work_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="model_busy_w of at least model_idle_w"):
        build(MeterSettings, {"model_idle_w": 5.0, "model_busy_w": 3.0})
