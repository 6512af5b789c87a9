# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from fake_sysfs import FakeSysfs

from lowlat_nodes.energy.meters import rapl
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.meter import Kind

RANGE_UJ = 262_143_328_850


def _client(sysfs: FakeSysfs) -> None:
    """A laptop: a package with its parts, the platform, and the second door to the package."""
    sysfs.zone("intel-rapl:0", "package-0")
    sysfs.zone("intel-rapl:0:0", "core")
    sysfs.zone("intel-rapl:0:1", "uncore")
    sysfs.zone("intel-rapl:0:2", "dram")
    sysfs.zone("intel-rapl:1", "psys")
    sysfs.zone("intel-rapl-mmio:0", "package-0")


def test_zones_have_names_and_places(sysfs: FakeSysfs) -> None:
    _client(sysfs)
    found = rapl.find(sysfs.root)
    assert {meter.name: (meter.device, meter.covers, meter.part_of) for meter in found.meters} == {
        "rapl/package-0": ("cpu", ("package",), "rapl/psys"),
        "rapl/package-0/core": ("cpu", ("core",), "rapl/package-0"),
        "rapl/package-0/uncore": ("other", ("uncore",), "rapl/package-0"),
        "rapl/package-0/dram": ("memory", ("dram",), "rapl/psys"),
        "rapl/psys": ("board", ("psys",), ""),
    }
    assert not found.missing
    assert {meter.fake for meter in found.meters} == {f"fake sysfs at {sysfs.root}"}


def test_two_packages_without_a_platform(sysfs: FakeSysfs) -> None:
    for package in (0, 1):
        sysfs.zone(f"intel-rapl:{package}", f"package-{package}")
        sysfs.zone(f"intel-rapl:{package}:0", "dram", range_uj=65_712_999_613)
    found = rapl.find(sysfs.root)
    assert {meter.name: meter.part_of for meter in found.meters} == {
        "rapl/package-0": "",
        "rapl/package-0/dram": "",
        "rapl/package-1": "",
        "rapl/package-1/dram": "",
    }


def test_amd_has_the_same_tree(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", range_uj=65_532_610_987)
    sysfs.zone("intel-rapl:0:0", "core", range_uj=65_532_610_987)
    meters = rapl.find(sysfs.root, clock).meters
    assert [meter.name for meter in meters] == ["rapl/package-0", "rapl/package-0/core"]
    assert meters[0].read().resolution_j == pytest.approx(15.26e-6, rel=1e-3)


def test_dies_of_a_package(sysfs: FakeSysfs) -> None:
    for die in (0, 1):
        sysfs.zone(f"intel-rapl:{die}", f"package-0-die-{die}")
    meters = rapl.find(sysfs.root).meters
    assert {meter.name: meter.covers for meter in meters} == {
        "rapl/package-0-die-0": ("package",),
        "rapl/package-0-die-1": ("package",),
    }


def test_several_counters_of_the_platform_are_none(sysfs: FakeSysfs) -> None:
    for zone, name in enumerate(("package-0", "package-1", "psys", "psys-1")):
        sysfs.zone(f"intel-rapl:{zone}", name)
    found = rapl.find(sysfs.root)
    assert {meter.name: meter.part_of for meter in found.meters} == {
        "rapl/package-0": "",
        "rapl/package-1": "",
    }
    assert [each.name for each in found.missing] == ["rapl/psys", "rapl/psys-1"]


def test_joules_and_wrap(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", RANGE_UJ - 3_000_000)
    (meter,) = rapl.find(sysfs.root, clock).meters
    first = meter.read()
    assert (first.joules, first.kind, first.period_s) == (0.0, Kind.MEASURED, 0.001)
    assert first.resolution_j == pytest.approx(61.035e-6, rel=1e-4)
    clock.advance(100_000_000)
    sysfs.energy("intel-rapl:0", 2_000_000)
    second = meter.read()
    assert (second.joules, second.breaks) == (pytest.approx(5.0), 0)
    assert second.time_ns - first.time_ns == 100_000_000


def test_a_counter_that_starts_anew_is_a_break(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 50_000_000_000)
    (meter,) = rapl.find(sysfs.root, clock).meters
    meter.read()
    for counter_uj, joules, breaks in ((0, 0.0, 1), (7_000_000, 7.0, 1)):
        clock.advance(1_000_000_000)
        sysfs.energy("intel-rapl:0", counter_uj)
        reading = meter.read()
        assert (reading.joules, reading.breaks, reading.kind) == (joules, breaks, Kind.MEASURED)


def test_a_driver_that_goes_and_comes_back(sysfs: FakeSysfs, clock: ManualClock) -> None:
    sysfs.zone("intel-rapl:0", "package-0", 1_000_000)
    (meter,) = rapl.find(sysfs.root, clock).meters
    meter.read()
    clock.advance(100_000_000)
    sysfs.energy("intel-rapl:0", 3_000_000)
    before = meter.read()
    clock.advance(100_000_000)
    sysfs.empty("class/powercap/intel-rapl:0/energy_uj")
    away = meter.read()
    assert (away.kind, away.joules, away.time_ns) == (Kind.UNAVAILABLE, 2.0, before.time_ns)
    assert "modprobe" in away.why
    sysfs.energy("intel-rapl:0", 9_000_000)
    clock.advance(100_000_000)
    back = meter.read()
    assert (back.kind, back.joules, back.breaks, back.why) == (Kind.MEASURED, 2.0, 1, "")
    clock.advance(100_000_000)
    sysfs.energy("intel-rapl:0", 10_000_000)
    assert meter.read().joules == 3.0


def test_counters_that_only_root_may_read(public_sysfs: FakeSysfs, as_nobody: Callable[..., str]) -> None:
    public_sysfs.zone("intel-rapl:0", "package-0")
    public_sysfs.zone("intel-rapl:0:0", "core")
    for zone in ("intel-rapl:0", "intel-rapl:0:0"):
        public_sysfs.deny(f"class/powercap/{zone}/energy_uj")
    program = """
import dataclasses, json, sys
from pathlib import Path
from lowlat_nodes.energy.meters import rapl
---
found = rapl.find(Path(sys.argv[1]))
print(json.dumps([len(found.meters), *map(dataclasses.astuple, found.missing)]))
"""
    count, (name, why) = json.loads(as_nobody(program, public_sysfs.root))
    assert (count, name) == (0, "rapl/package-0 and 1 more")
    assert "CVE-2020-8694" in why
    assert 'KERNEL=="intel-rapl:*"' in why
    assert len(why) < 1000  # of a text in published figures


def test_a_counter_that_is_taken_away(public_sysfs: FakeSysfs, as_nobody: Callable[..., str]) -> None:
    """An open file stays readable, as it does in sysfs; one that is opened anew is refused, and says why."""
    public_sysfs.zone("intel-rapl:0", "package-0")
    program = """
import sys
from pathlib import Path
from lowlat_nodes.energy.meters import rapl
(meter,) = rapl.find(Path(sys.argv[1])).meters
meter.read()
energy = Path(sys.argv[1]) / "class/powercap/intel-rapl:0/energy_uj"
energy.chmod(0o400 if os.getuid() == 0 else 0o000)
---
print(meter.read().kind.value)
meter.close()
print(meter.read().kind.value, meter.read().why.splitlines()[0])
"""
    program = "import os\n" + program
    first, second = as_nobody(program, public_sysfs.root).splitlines()
    assert first == "measured"
    assert second.startswith("unavailable")
    assert "only root" in second


def test_a_container_that_hides_them(sysfs: FakeSysfs) -> None:
    folder = sysfs.root / "class/powercap"
    folder.mkdir(parents=True)
    (folder / "intel-rapl:0").symlink_to(sysfs.root / "devices/virtual/powercap/intel-rapl/intel-rapl:0")
    found = rapl.find(sysfs.root)
    assert not found.meters
    assert "container" in found.missing[0].why


def test_a_zone_without_a_number(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0")
    sysfs.write("class/powercap/intel-rapl:0/energy_uj", "1_000")
    found = rapl.find(sysfs.root)
    assert not found.meters
    assert found.missing[0].name == "rapl/package-0"
    assert "1_000" in found.missing[0].why


def test_a_zone_that_does_not_say_where_it_wraps(sysfs: FakeSysfs) -> None:
    sysfs.zone("intel-rapl:0", "package-0", range_uj=0)
    found = rapl.find(sysfs.root)
    assert not found.meters
    assert "max_energy_range_uj" in found.missing[0].why


def test_events_of_perf_prove_nothing(sysfs: FakeSysfs) -> None:
    sysfs.write("bus/event_source/devices/power/events/energy-psys", "event=0x05")
    found = rapl.find(sysfs.root)
    assert not found.meters
    assert "read 0 for ever" in found.missing[0].why
