# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from fake_sysfs import FakeSysfs

from lowlat_nodes.energy.meters import ina
from lowlat_nodes.energy.meters.discovery import find_meters
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind


def _tenth(found: Found, clock: ManualClock) -> dict[str, float]:
    """Return the joules of each meter after another tenth of a second."""
    clock.advance(100_000_000)
    return {meter.name: meter.read().joules for meter in found.meters}


def _place(found: Found) -> dict[str, tuple[str, tuple[str, ...], str]]:
    return {meter.name: (meter.device, meter.covers, meter.part_of) for meter in found.meters}


def test_agx_orin(agx_orin: FakeSysfs, clock: ManualClock) -> None:
    found = ina.find(agx_orin.root, clock=clock)
    assert _place(found) == {
        "ina3221/VDD_GPU_SOC": ("gpu0", ("gpu", "soc"), "ina3221/sum"),
        "ina3221/VDD_CPU_CV": ("cpu", ("cpu", "cv"), "ina3221/sum"),
        "ina3221/VIN_SYS_5V0": ("other", ("io", "memory"), "ina3221/sum"),
        "ina3221/VDDQ_VDD2_1V8AO": ("memory", ("memory",), "ina3221/VIN_SYS_5V0"),
        "ina3221/sum": ("board", ("module",), ""),
    }
    assert not found.missing
    _tenth(found, clock)
    assert _tenth(found, clock) == pytest.approx(
        {
            "ina3221/VDD_GPU_SOC": 0.6,
            "ina3221/VDD_CPU_CV": 0.2,
            "ina3221/VIN_SYS_5V0": 0.4,
            "ina3221/VDDQ_VDD2_1V8AO": 0.1,
            "ina3221/sum": 1.2,  # and not the memory once more
        }
    )


def test_orin_nx_and_nano(orin_nx: FakeSysfs, clock: ManualClock) -> None:
    found = ina.find(orin_nx.root, clock=clock)
    assert _place(found) == {
        "ina3221/VDD_IN": ("board", ("module",), ""),
        "ina3221/VDD_CPU_GPU_CV": ("other", ("cpu", "gpu", "cv"), "ina3221/VDD_IN"),
        "ina3221/VDD_SOC": ("other", ("soc",), "ina3221/VDD_IN"),
    }
    _tenth(found, clock)
    joules = _tenth(found, clock)
    assert joules == pytest.approx(
        {"ina3221/VDD_IN": 1.0, "ina3221/VDD_CPU_GPU_CV": 0.5, "ina3221/VDD_SOC": 0.2}
    )


def test_agx_thor(agx_thor: FakeSysfs, clock: ManualClock) -> None:
    found = ina.find(agx_thor.root, clock=clock)
    assert _place(found) == {
        "ina3221/VDD_GPU": ("gpu0", ("gpu",), "ina238/VIN"),
        "ina3221/VDD_CPU_SOC_MSS": ("cpu", ("cpu", "soc", "memory"), "ina238/VIN"),
        "ina3221/VIN_SYS_5V0": ("other", ("io", "memory"), "ina238/VIN"),
        "ina238/VIN": ("board", ("board",), ""),
    }
    _tenth(found, clock)
    joules = _tenth(found, clock)
    assert joules["ina238/VIN"] == pytest.approx(2.3)
    assert joules["ina3221/VDD_GPU"] == 0.0  # below 0 is none


def test_thor_on_a_board_without_an_ina238(agx_thor: FakeSysfs, clock: ManualClock) -> None:
    (agx_thor.root / "class/hwmon/hwmon3").unlink()
    found = ina.find(agx_thor.root, clock=clock)
    assert _place(found)["ina3221/sum"] == ("board", ("module",), "")
    _tenth(found, clock)
    assert _tenth(found, clock)["ina3221/sum"] == pytest.approx(1.3)


def test_agx_xavier(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.ina3221(0, "1-0040", {1: ("GPU", 19_000, 100), 2: ("CPU", 19_000, 100), 3: ("SOC", 19_000, 100)})
    sysfs.ina3221(1, "1-0041", {1: ("CV", 19_000, 0), 2: ("VDDRQ", 19_000, 100), 3: ("SYS5V", 5_000, 400)})
    found = ina.find(sysfs.root, clock=clock)
    assert _place(found)["ina3221/sum"] == ("board", ("module",), "")
    assert {meter.part_of for meter in found.meters} == {"ina3221/sum", ""}
    _tenth(found, clock)
    assert _tenth(found, clock)["ina3221/sum"] == pytest.approx(0.96)


def test_jetson_nano(sysfs: FakeSysfs) -> None:
    rails = {1: ("POM_5V_IN", 5_000, 500), 2: ("POM_5V_GPU", 5_000, 50), 3: ("POM_5V_CPU", 5_000, 200)}
    sysfs.ina3221(0, "6-0040", rails)
    assert _place(ina.find(sysfs.root)) == {
        "ina3221/POM_5V_IN": ("board", ("module",), ""),
        "ina3221/POM_5V_GPU": ("gpu0", ("gpu",), "ina3221/POM_5V_IN"),
        "ina3221/POM_5V_CPU": ("cpu", ("cpu",), "ina3221/POM_5V_IN"),
    }


def test_igx_orin_has_rails_beside_the_module(agx_orin: FakeSysfs) -> None:
    """Whether those of its power supply include the module is not documented."""
    agx_orin.ina3221(
        5,
        "2-0041",
        {1: ("CVB_ATX_12V", 12_000, 900), 2: ("CVB_ATX_3V3", 3_300, 100), 3: ("CVB_ATX_5V", 5_000, 100)},
    )
    found = ina.find(agx_orin.root)
    assert "ina3221/sum" in _place(found)
    assert [each.name for each in found.missing] == [
        "ina3221/CVB_ATX_12V",
        "ina3221/CVB_ATX_3V3",
        "ina3221/CVB_ATX_5V",
    ]


def test_trapezoids(orin_nx: FakeSysfs, clock: ManualClock) -> None:
    found = ina.find(orin_nx.root, clock=clock)
    _tenth(found, clock)
    orin_nx.write("class/hwmon/hwmon1/curr1_input", 4_000)  # from 10 W to 20 W
    assert _tenth(found, clock)["ina3221/VDD_IN"] == pytest.approx(1.5)


def test_what_a_rail_says_of_itself(orin_nx: FakeSysfs, clock: ManualClock) -> None:
    found = ina.find(orin_nx.root, clock=clock)
    _tenth(found, clock)
    clock.advance(100_000_000)
    reading = found.meters[0].read()
    assert (reading.kind, reading.period_s) == (Kind.MEASURED, 0.009)
    assert reading.resolution_j == pytest.approx(20e-3 * 5.0 * 0.1)  # 40 uV / 2 mOhm, at 5 V, for 0.1 s


def test_a_long_pause_is_a_break(orin_nx: FakeSysfs, clock: ManualClock) -> None:
    (total, *_) = ina.find(orin_nx.root, clock=clock).meters
    total.read()
    clock.advance(3_000_000_000)
    assert (total.read().joules, total.read().breaks) == (0.0, 1)


def test_without_labels_nothing_is_guessed(sysfs: FakeSysfs) -> None:
    sysfs.ina3221(1, "1-0040", {1: ("", 5_000, 2_000), 2: ("", 5_000, 1_000)})
    found = ina.find(sysfs.root)
    assert not found.meters
    assert [each.name for each in found.missing] == ["ina3221/1-0040/1", "ina3221/1-0040/2"]
    assert found.missing[0].why.endswith("\n    --sensor ina3221/1-0040/1=board")


def test_a_sensor_that_the_settings_name(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.ina3221(1, "1-0040", {1: ("", 5_000, 2_000), 2: ("", 5_000, 1_000)})
    found = ina.find(sysfs.root, {"ina3221/1-0040/1": "board", "ina3221/1-0040/2": "cpu"}, clock)
    assert _place(found) == {
        "ina3221/1-0040/1": ("board", ("board",), ""),
        "ina3221/1-0040/2": ("cpu", ("cpu",), "ina3221/1-0040/1"),
    }


def test_a_sum_needs_all_of_its_rails(agx_orin: FakeSysfs) -> None:
    (agx_orin.root / "class/hwmon/hwmon3/in2_label").unlink()
    found = ina.find(agx_orin.root)
    assert "ina3221/sum" not in _place(found)
    assert {each.name: each.why for each in found.missing}["ina3221/sum"].endswith(
        "VDD_CPU_CV cannot be read"
    )


def test_a_rail_that_goes_away_interrupts_the_sum(agx_orin: FakeSysfs, clock: ManualClock) -> None:
    found = ina.find(agx_orin.root, clock=clock)
    meters = {meter.name: meter for meter in found.meters}
    _tenth(found, clock)
    _tenth(found, clock)
    agx_orin.empty("class/hwmon/hwmon3/curr2_input")
    _tenth(found, clock)
    gone = meters["ina3221/sum"].read()
    assert (gone.kind, gone.joules) == (Kind.UNAVAILABLE, pytest.approx(1.2))
    agx_orin.write("class/hwmon/hwmon3/curr2_input", 100)
    _tenth(found, clock)
    joules = _tenth(found, clock)
    assert joules["ina3221/sum"] == pytest.approx(2.4)
    assert joules["ina3221/VDD_GPU_SOC"] == pytest.approx(2.4)  # it never went
    assert meters["ina3221/sum"].read().breaks == 1


def test_a_sum_reads_what_nobody_else_reads(agx_orin: FakeSysfs, clock: ManualClock) -> None:
    total = ina.find(agx_orin.root, clock=clock).meters[-1]
    for _ in range(3):
        clock.advance(100_000_000)
        reading = total.read()
    assert reading.joules == pytest.approx(2.4)


def test_a_channel_that_is_switched_off_is_no_rail(orin_nx: FakeSysfs) -> None:
    orin_nx.write("class/hwmon/hwmon1/in3_enable", 0)
    assert "ina3221/VDD_SOC" not in _place(ina.find(orin_nx.root))


def test_the_second_of_a_name_is_left_out(orin_nx: FakeSysfs) -> None:
    orin_nx.ina3221(2, "1-0041", {1: ("VDD_IN", 5_000, 2_000)})
    found = ina.find(orin_nx.root)
    assert len(found.meters) == 3
    assert "1-0041" in found.missing[0].why


def test_a_rail_that_is_switched_off_at_times_stays_a_meter(orin_nx: FakeSysfs, clock: ManualClock) -> None:
    """Graphics that nobody uses take 0 W, and that is measured."""
    meters = {meter.name: meter for meter in find_meters(root=orin_nx.root, clock=clock).meters}
    rail = meters["ina3221/VDD_SOC"]
    rail.read()
    clock.advance(100_000_000)
    joules = rail.read().joules
    orin_nx.write("class/hwmon/hwmon1/curr3_input", 0)
    for _ in range(20):
        clock.advance(1_000_000_000)
        reading = rail.read()
    assert (reading.kind, reading.joules) == (Kind.MEASURED, pytest.approx(joules + 1.0))


def test_power_that_cannot_be_is_not_counted(orin_nx: FakeSysfs, clock: ManualClock) -> None:
    (total, *_) = ina.find(orin_nx.root, clock=clock).meters
    total.read()
    clock.advance(100_000_000)
    orin_nx.write("class/hwmon/hwmon1/curr1_input", 2**32 - 1)  # a driver that forgot the sign
    reading = total.read()
    assert (reading.kind, reading.joules) == (Kind.UNAVAILABLE, 0.0)
    assert reading.why == "it says 21474836 W, which cannot be"
    orin_nx.write("class/hwmon/hwmon1/curr1_input", 2_000)
    for _ in range(2):
        clock.advance(100_000_000)
        reading = total.read()
    assert (reading.kind, reading.joules, reading.breaks) == (Kind.MEASURED, pytest.approx(1.0), 1)
