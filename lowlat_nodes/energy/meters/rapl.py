# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processors of Intel and AMD: the zones of RAPL, as powercap has them in sysfs.

The format is that of Documentation/power/powercap/powercap.rst of the kernel. Zones nest by their names:
`intel-rapl:0` is a package, `intel-rapl:0:1` a part of it. What a zone is of stands in its file `name`:
`package-0`, `core`, `uncore` (the graphics of client processors), `dram`; and `psys`, the whole platform, of
which the maker of the machine decides what it is. AMD has the same tree under the same names, of packages and
cores.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.energy.figures import Missing
from lowlat_nodes.energy.meters.counting import Counting
from lowlat_nodes.energy.meters.file_meter import FileMeter
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.energy.meters.sysfs import Fault, NumberFile, Unreadable, fake_of, number, word
from lowlat_nodes.stream.clock import Clock

REMEDY = """\
sudo groupadd -f -r energy && sudo usermod -aG energy "$USER"
echo 'SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", RUN+="/bin/chgrp energy /sys%p/energy_uj", \
RUN+="/bin/chmod 440 /sys%p/energy_uj"' | sudo tee /etc/udev/rules.d/70-energy.rules
sudo udevadm control --reload && sudo udevadm trigger --action=add --subsystem-match=powercap"""
"""Lets the group `energy` read the counters, now and after each start; log in anew for the group."""

_DENIED = (
    "since Linux 5.10 only root may read these counters, because they tell programs about each other's "
    "secrets (CVE-2020-8694); let a group read them, then log in anew:\n" + REMEDY
)
_MASKED = (
    "this container hides the counters (it masks /sys/devices/virtual/powercap, GHSA-jq35-85cj-fj4p); run "
    "the sampler, `lowlat energyd`, on the host, and share its folder with the container"
)
_NONE = (
    "the kernel offers no counter of the processor; on a real machine: sudo modprobe intel_rapl_msr; "
    "a virtual machine has none"
)
_PERF = (
    "; that perf lists power/energy-* proves nothing, as those open and read 0 for ever on virtual machines"
)
_ZONE = re.compile(r"intel-rapl:[0-9]+(:[0-9]+)?\Z")  # intel-rapl-mmio is a second door to the same counters
_DEVICES = {"psys": "board", "dram": "memory", "uncore": "other"}
_COUNTER_STEPS = 2**32 - 1  # of the registers behind: the kernel gives the energy of all of them as the range
_PERIOD_S = 0.001  # about once a millisecond: Intel SDM volume 3, on the interfaces of RAPL


@dataclass(frozen=True)
class _Zone:
    folder: Path
    name: str
    meter: str
    parent: str
    file: NumberFile
    range_uj: int

    @property
    def of_platform(self) -> bool:
        return self.name.startswith("psys")


def find(root: Path, clock: Clock | None = None) -> Found:
    """Return a meter for each zone that this user may read.

    Args:
        root: Where sysfs is.
        clock: Steady.
    """
    folders = _folders(root)
    if not folders:
        perf = _PERF if (root / "bus/event_source/devices/power").exists() else ""
        there = perf or platform.machine() in {"x86_64", "AMD64"}
        return Found(missing=(Missing("rapl", _NONE + perf),) if there else ())
    if not any(folder.is_dir() for folder in folders):
        return Found(missing=(Missing("rapl", _MASKED),))
    opened = {folder: _zone(folder) for folder in folders}
    zones = [zone for zone in opened.values() if isinstance(zone, _Zone)]
    faults = {_meter(folder): zone for folder, zone in opened.items() if isinstance(zone, Unreadable)}
    denied = [name for name, error in faults.items() if error.fault is Fault.DENIED]
    missing = [Missing(_all(denied), _DENIED)] if denied else []
    missing += [Missing(name, _why(error)) for name, error in faults.items() if name not in denied]
    platforms = [zone for zone in zones if zone.of_platform]
    if len(platforms) > 1:  # which of them includes which package is not documented
        missing += [Missing(zone.meter, "one of several counters of the platform") for zone in platforms]
        zones = [zone for zone in zones if not zone.of_platform]
    return Found(tuple(_open(zone, zones, root, clock) for zone in zones), tuple(missing))


def _all(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _folders(root: Path) -> list[Path]:
    try:
        names = [path.name for path in (root / "class" / "powercap").iterdir()]
    except OSError:
        return []
    zones = sorted(filter(_ZONE.match, names), key=lambda name: [int(part) for part in name.split(":")[1:]])
    return [root / "class" / "powercap" / name for name in zones]


def _meter(folder: Path) -> str:
    """Return the name of the meter of a zone, with the package that it is a part of."""
    names = [folder.name, _parent(folder.name)]
    words = [word(folder.with_name(name) / "name") or name for name in names if name]
    return "/".join(["rapl", *reversed(words)])


def _parent(zone: str) -> str:
    return zone.rpartition(":")[0] if zone.count(":") > 1 else ""


def _zone(folder: Path) -> _Zone | Unreadable:
    file, wraps = NumberFile(folder / "energy_uj"), folder / "max_energy_range_uj"
    try:
        file.read()
        range_uj = number(wraps)
    except Unreadable as error:
        file.close()
        return error
    if range_uj <= 0:
        file.close()
        return Unreadable(Fault.NOT_A_NUMBER, wraps, f"got {range_uj}, no energy to wrap at")
    return _Zone(folder, word(folder / "name"), _meter(folder), _parent(folder.name), file, range_uj)


def _open(zone: _Zone, zones: list[_Zone], root: Path, clock: Clock | None) -> FileMeter:
    part = zone.name.partition("-")[0] or "unknown"
    return FileMeter(
        zone.meter,
        [zone.file],
        Counting(zone.range_uj, zone.range_uj / _COUNTER_STEPS * 1e-6),
        device=_DEVICES.get(part, "cpu"),
        covers=(part,),
        part_of=_whole(zone, zones),
        fake=fake_of(root),
        period_s=_PERIOD_S,
        remedy=_why,
        clock=clock,
    )


def _whole(zone: _Zone, zones: list[_Zone]) -> str:
    """Return the meter that includes a zone: its package (memory is wired beside that), or the platform."""
    package = [] if zone.name == "dram" else [each for each in zones if each.folder.name == zone.parent]
    platform_ = [each for each in zones if each.of_platform and not zone.of_platform]
    return next((each.meter for each in package + platform_), "")


def _why(error: Unreadable) -> str:
    if error.fault is Fault.DENIED:
        return _DENIED
    if error.fault is Fault.GONE:
        return f"{error}; its driver is away (sudo modprobe intel_rapl_msr)"
    return str(error)
