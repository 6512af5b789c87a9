# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fake_driver
import pytest
from fake_sysfs import FakeSysfs

from lowlat_nodes.energy.meters.discovery import MeterSettings, find_meters
from lowlat_nodes.energy.meters.rapl import REMEDY
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind, Meter


def _kinds(meters: tuple[Meter, ...]) -> dict[str, Kind]:
    return {meter.name: meter.read().kind for meter in meters}


def test_a_meter_counts_once_its_counter_moved(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    meters = find_meters(root=sysfs.root, clock=clock).meters
    assert _kinds(meters) == {"rapl/package-0": Kind.UNAVAILABLE, "model/cpu": Kind.UNAVAILABLE}
    clock.advance(100_000_000)
    sysfs.energy("intel-rapl:0", 2_000_000)
    assert _kinds(meters) == {"rapl/package-0": Kind.MEASURED, "model/cpu": Kind.UNAVAILABLE}
    assert "rapl/package-0" in meters[1].read().why


def test_a_dead_counter_never_counts_and_the_model_stands_in(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 0)
    meters = find_meters(root=sysfs.root, clock=clock).meters
    for _ in range(30):
        kinds = _kinds(meters)
        clock.advance(100_000_000)
    assert kinds == {"rapl/package-0": Kind.UNAVAILABLE, "model/cpu": Kind.MODELLED}
    assert "not moved once in 3.0 s" in meters[0].read().why


def test_parts_belong_to_a_whole_that_counts(sysfs: FakeSysfs, clock: ManualClock) -> None:
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


def test_a_proved_counter_that_stops_is_unavailable(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    (meter,) = find_meters(MeterSettings(model_busy_w=0.0), sysfs.root, clock).meters
    meter.read()
    sysfs.energy("intel-rapl:0", 2_000_000)
    assert meter.read().kind is Kind.MEASURED
    clock.advance(11_000_000_000)
    assert meter.read().why == "its counter has stood still for 11.0 s, and so measures nothing"
    sysfs.energy("intel-rapl:0", 3_000_000)
    reading = meter.read()
    assert (reading.kind, reading.joules) == (Kind.MEASURED, 2.0)


def test_nothing_but_the_model(sysfs: FakeSysfs) -> None:
    found = find_meters(root=sysfs.root)
    (model,) = found.meters
    reading = model.read()
    assert (model.name, model.device, reading.kind) == ("model/cpu", "cpu", Kind.MODELLED)
    assert "0.74 W per idle and 3.5 W per busy" in reading.why
    assert reading.idle_w == pytest.approx(0.74 * (os.cpu_count() or 1))
    assert model.fake == f"fake sysfs at {sysfs.root}"


def test_no_model_and_no_meter_is_nothing(sysfs: FakeSysfs) -> None:
    assert find_meters(MeterSettings(model_busy_w=0.0), sysfs.root).meters == ()


def test_a_host_with_gpus_of_two_makers(sysfs: FakeSysfs, tmp_path: Path) -> None:
    library, said = fake_driver.build(tmp_path), tmp_path / "said"
    fake_driver.FakeDriver(said)
    sysfs.zone("intel-rapl:0", "package-0")
    sysfs.chip(0, "amdgpu", "0000:03:00.0", {"power1_average": 35_000_000})
    program = """
import sys
from pathlib import Path
from lowlat_nodes.energy.meters.discovery import find_meters
for meter in find_meters(root=Path(sys.argv[1])).meters:
    print(meter.name, meter.device, bool(meter.fake))
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(sysfs.root)],
        env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML": str(said)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.splitlines() == [
        "rapl/package-0 cpu True",
        "nvml/0 gpu0 True",
        "amdgpu/0000:03:00.0/power1 gpu1 True",
        "model/cpu cpu True",
    ], result.stderr


def test_meters_can_be_left_out(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0")
    sysfs.zone("intel-rapl:0:0", "core")
    found = find_meters(MeterSettings(without=("rapl/package-0/",)), sysfs.root)
    assert [meter.name for meter in found.meters] == ["rapl/package-0", "model/cpu"]
    assert found.missing[-1].name == "rapl/package-0/core"


def test_empty_texts_stand_for_none(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0")
    found = find_meters(MeterSettings(without=("",), sensors=("",)), sysfs.root)
    assert [meter.name for meter in found.meters] == ["rapl/package-0", "model/cpu"]


def test_the_root_comes_from_the_environment(sysfs: FakeSysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    sysfs.zone("intel-rapl:0", "package-0")
    monkeypatch.setenv("LOWLAT_SYSFS_ROOT", str(sysfs.root))
    assert find_meters().meters[0].fake == f"fake sysfs at {sysfs.root}"


def test_a_model_that_takes_less_for_work_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="model_busy_w of at least model_idle_w"):
        build(MeterSettings, {"model_idle_w": 5.0, "model_busy_w": 3.0})


def test_two_sensors_of_the_same_board_are_not_added(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.chip(0, "power_meter", "ACPI000D:00", {"power1_average": 150_000_000})
    sysfs.chip(1, "ina226", "2-0045", {"power1_input": 160_000_000})
    settings = MeterSettings(sensors=("ina226/2-0045/1=board",), without=("model/",))
    meters = find_meters(settings, sysfs.root, clock).meters
    for _ in range(2):
        clock.advance(100_000_000)
        for meter in meters:
            meter.read()
    assert {meter.name: meter.part_of for meter in meters} == {
        "ina226/2-0045/1": "",
        "power_meter/ACPI000D:00/power1": "ina226/2-0045/1",
    }


def test_the_remedies_of_the_documentation_are_those_of_the_program() -> None:
    page = Path(__file__).parents[3] / "docs" / "energy_meters.md"
    assert f"```\n{REMEDY}\n```" in page.read_text(encoding="utf-8")
