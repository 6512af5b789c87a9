# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from fake_sysfs import FakeSysfs
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.energy.meters.battery import DISCHARGING, BatteryMeter
from lowlat_nodes.energy.meters.discovery import MeterSettings, find_meters
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind

SECOND_NS = 1_000_000_000


def test_joules_of_what_it_gives(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    assert battery.read().kind is Kind.UNAVAILABLE
    battery.hear(24.0, -2.0)
    clock.advance(SECOND_NS)
    battery.hear(24.0, -4.0)
    reading = battery.read()
    assert (reading.kind, reading.joules, reading.period_s) == (Kind.MEASURED, pytest.approx(72.0), 1.0)


def test_stamps_tell_when_it_was_measured(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    battery.hear(10.0, -1.0, stamp_ns=50 * SECOND_NS)
    clock.advance(SECOND_NS // 10)  # it was long on its way
    battery.hear(10.0, -1.0, stamp_ns=51 * SECOND_NS)
    assert battery.read().joules == pytest.approx(10.0)


def test_a_report_that_comes_twice_counts_once(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    assert battery.hear(10.0, -1.0, stamp_ns=SECOND_NS)
    assert not battery.hear(10.0, -1.0, stamp_ns=SECOND_NS)
    assert battery.refused["repeated"] == 1


def test_stamps_that_jump_back_are_a_break(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    for stamp_s in (100, 101, 5, 6):
        battery.hear(10.0, -1.0, stamp_ns=stamp_s * SECOND_NS)
    assert (battery.read().joules, battery.read().breaks) == (pytest.approx(20.0), 1)


@pytest.mark.parametrize(
    ("voltage_v", "current_a", "reason"),
    [
        (math.nan, -1.0, "voltage"),
        (-12.0, -1.0, "voltage"),
        (0.0, -1.0, "voltage"),
        (math.inf, -1.0, "voltage"),
        (48_000.0, -1.0, "voltage"),  # millivolts
        (12.0, math.nan, "current"),
        (12.0, -math.inf, "current"),
        (12.0, -9_000.0, "current"),
    ],
)
def test_reports_that_cannot_be_true_change_nothing(
    clock: ManualClock, voltage_v: float, current_a: float, reason: str
) -> None:
    battery = BatteryMeter(clock=clock)
    battery.hear(12.0, -1.0)
    clock.advance(SECOND_NS)
    assert not battery.hear(voltage_v, current_a)
    clock.advance(SECOND_NS)
    assert battery.hear(12.0, -1.0)
    assert battery.refused.snapshot() == {reason: 1}
    assert (battery.read().joules, battery.read().breaks) == (pytest.approx(24.0), 0)


def test_a_battery_that_only_says_nan_is_unavailable(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    battery.hear(math.nan, math.nan)
    assert battery.read().kind is Kind.UNAVAILABLE
    assert "refused reports: {'voltage': 1}" in battery.read().why


def test_a_driver_with_the_sign_the_wrong_way_round_is_told(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    assert not battery.hear(12.0, 3.0, status=DISCHARGING)
    assert "sign" in battery.read().why


def test_charging_is_no_consumption(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    for current_a in (-1.0, -1.0, 5.0, 5.0, -1.0, -1.0):
        battery.hear(12.0, current_a)
        clock.advance(SECOND_NS)
        if current_a > 0.0:
            assert battery.read().kind is Kind.UNAVAILABLE
            assert "charged, with 5.0 A" in battery.read().why
    reading = battery.read()
    assert (reading.kind, reading.joules, reading.breaks) == (Kind.MEASURED, pytest.approx(24.0), 1)


def test_silence(clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    battery.hear(12.0, -1.0)
    clock.advance(6 * SECOND_NS)
    assert battery.read().why == "nothing was heard of the battery for 6 s"
    battery.hear(12.0, -1.0)
    assert (battery.read().kind, battery.read().joules, battery.read().breaks) == (Kind.MEASURED, 0.0, 1)


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
            st.integers(0, 10 * SECOND_NS),
            st.integers(0, 3),
        ),
        max_size=30,
    )
)
def test_whatever_is_heard_joules_never_fall(reports: list[tuple[float, float, int, int]]) -> None:
    clock = ManualClock(SECOND_NS)
    battery = BatteryMeter(clock=clock)
    joules = 0.0
    for voltage_v, current_a, step_ns, status in reports:
        clock.advance(step_ns)
        battery.hear(voltage_v, current_a, clock.now_ns() * (status % 2), status)
        reading = battery.read()
        assert joules <= reading.joules < math.inf
        joules = reading.joules


def test_everything_is_a_part_of_a_battery_that_counts(orin_nx: FakeSysfs, clock: ManualClock) -> None:
    battery = BatteryMeter(clock=clock)
    settings = MeterSettings(battery="battery_state", model_busy_w=0.0)
    found = find_meters(settings, orin_nx.root, clock, battery)
    meters = {meter.name: meter for meter in found.meters}

    def part_of() -> dict[str, str]:
        for meter in meters.values():
            meter.read()
        return {name: meter.part_of for name, meter in meters.items()}

    assert part_of()["ina3221/VDD_IN"] == ""
    for _ in range(2):
        battery.hear(24.0, -1.0)
        clock.advance(SECOND_NS)
        parts = part_of()
    assert parts == {
        "ina3221/VDD_IN": "battery",
        "ina3221/VDD_CPU_GPU_CV": "ina3221/VDD_IN",
        "ina3221/VDD_SOC": "ina3221/VDD_IN",
        "battery": "",
    }
    battery.hear(24.0, 3.0)
    assert part_of()["ina3221/VDD_IN"] == ""


def test_a_battery_that_nobody_can_hear_is_missing(sysfs: FakeSysfs) -> None:
    found = find_meters(MeterSettings(battery="battery_state"), sysfs.root)
    assert "energy_node" in {each.name: each.why for each in found.missing}["battery"]
