# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from fake_sysfs import FakeSysfs

from lowlat_nodes.energy.figures import MAX_METERS
from lowlat_nodes.energy.meters import hwmon
from lowlat_nodes.energy.meters.discovery import MeterSettings, find_meters
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind


def _devices(found: Found) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {meter.name: (meter.device, meter.covers) for meter in found.meters}


def test_graphics_cards_have_numbers(sysfs: FakeSysfs) -> None:
    sysfs.chip(0, "amdgpu", "0000:03:00.0", {"power1_average": 35_000_000, "power1_label": "PPT"})
    sysfs.chip(1, "i915", "0000:04:00.0", {"energy1_input": 5_000_000})
    sysfs.chip(
        2,
        "xe",
        "0000:05:00.0",
        {"energy1_input": 9_000_000, "energy1_label": "card", "energy2_input": 1, "energy2_label": "pkg"},
    )
    assert _devices(hwmon.find(sysfs.root, first_gpu=1)) == {
        "amdgpu/0000:03:00.0/PPT": ("gpu1", ("gpu",)),
        "i915/0000:04:00.0/energy1": ("gpu2", ("gpu",)),
        "xe/0000:05:00.0/card": ("gpu3", ("gpu",)),
    }


def test_graphics_inside_a_processor_are_that(sysfs: FakeSysfs) -> None:
    sysfs.chip(0, "amdgpu", "0000:e5:00.0", {"power1_input": 9_000_000, "in1_label": "vddnb"})
    assert _devices(hwmon.find(sysfs.root)) == {"amdgpu/0000:e5:00.0/power1": ("cpu", ("package",))}
    assert not hwmon.find(sysfs.root, without_processors=True).meters


def test_sockets_of_amd_energy_count_and_cores_do_not(sysfs: FakeSysfs, clock: ManualClock) -> None:
    labels = {"energy1_label": "Ecore000", "energy2_label": "Ecore001", "energy3_label": "Esocket0"}
    inputs = {"energy1_input": 10, "energy2_input": 10, "energy3_input": 1_000_000}
    folder = sysfs.chip(0, "amd_energy", "amd_energy.0", labels | inputs)
    (meter,) = hwmon.find(sysfs.root, clock=clock).meters
    assert (meter.name, meter.device) == ("amd_energy/amd_energy.0/Esocket0", "cpu")
    meter.read()
    clock.advance(100_000_000)
    sysfs.write(f"{folder}/energy3_input", 6_000_000)
    assert meter.read().joules == pytest.approx(5.0)


def test_the_meter_of_a_whole_machine_includes_the_rest(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    sysfs.chip(0, "power_meter", "ACPI000D:00", {"power1_average": 150_000_000})
    meters = {meter.name: meter for meter in find_meters(root=sysfs.root, clock=clock).meters}
    for step in range(3):
        sysfs.energy("intel-rapl:0", (step + 1) * 1_000_000)
        clock.advance(100_000_000)
        kinds = {name: meter.read().kind for name, meter in meters.items()}
    assert kinds == {
        "rapl/package-0": Kind.MEASURED,
        "power_meter/ACPI000D:00/power1": Kind.MEASURED,
        "model/cpu": Kind.UNAVAILABLE,
    }
    assert meters["rapl/package-0"].part_of == "power_meter/ACPI000D:00/power1"


def test_sensors_of_which_nothing_is_known_are_for_the_user_to_name(sysfs: FakeSysfs) -> None:
    sysfs.chip(0, "ucd9000", "3-0060", {"power1_input": 4_000_000, "power1_label": "pout1"})
    sysfs.chip(1, "k10temp", "0000:00:18.3", {"temp1_input": 45_000})
    found = find_meters(MeterSettings(model_busy_w=0.0), sysfs.root)
    assert not found.meters
    assert {each.name: each.why for each in found.missing}["ucd9000/3-0060/pout1"].endswith(
        "--sensor ucd9000/3-0060/pout1=board"
    )
    settings = MeterSettings(sensors=("ucd9000/3-0060/pout1=memory",), model_busy_w=0.0)
    assert _devices(find_meters(settings, sysfs.root)) == {"ucd9000/3-0060/pout1": ("memory", ("memory",))}


def test_a_card_that_sleeps_may_wake_up(sysfs: FakeSysfs, clock: ManualClock) -> None:
    folder = sysfs.chip(0, "amdgpu", "0000:03:00.0", {})
    sysfs.empty(f"{folder}/power1_average")
    (meter,) = hwmon.find(sysfs.root, clock=clock).meters
    assert meter.read().kind is Kind.UNAVAILABLE
    sysfs.write(f"{folder}/power1_average", 10_000_000)
    assert meter.read().kind is Kind.MEASURED
    clock.advance(1_000_000_000)
    assert meter.read().joules == pytest.approx(10.0)


def test_a_laptop_battery_is_no_meter(sysfs: FakeSysfs) -> None:
    sysfs.chip(0, "BAT0", "power_supply/BAT0", {"power1_input": 9_000_000})
    found = hwmon.find(sysfs.root)
    assert not found.meters
    assert not found.missing


def test_another_source_of_the_same_counts_where_the_first_is_left_out(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0")
    sysfs.chip(0, "amd_energy", "amd_energy.0", {"energy1_input": 1, "energy1_label": "Esocket0"})
    socket = "amd_energy/amd_energy.0/Esocket0"
    settings = MeterSettings(without=("model/",))
    assert list(_devices(find_meters(settings, sysfs.root))) == ["rapl/package-0"]
    settings = MeterSettings(without=("model/", "rapl/"))
    assert list(_devices(find_meters(settings, sysfs.root))) == [socket]


def test_there_is_a_bound(sysfs: FakeSysfs) -> None:
    for chip in range(100):
        sysfs.chip(chip, "power_meter", f"ACPI{chip}", {"power1_average": 1_000_000})
    found = find_meters(root=sysfs.root)
    assert len(found.meters) == MAX_METERS
    assert "more than 64 meters" in found.missing[-1].why
    assert len(found.missing) <= MAX_METERS
