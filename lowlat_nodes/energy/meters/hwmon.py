# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Other sensors of power and energy in class/hwmon: graphics cards, processors, whole machines.

Files as in Documentation/hwmon/sysfs-interface.rst of the kernel: microwatts and microjoules. What a sensor
is of stands nowhere but in the documentation of its driver, so that only known ones are read, and those that
the settings name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.energy.figures import Missing
from lowlat_nodes.energy.meters.counting import Counting
from lowlat_nodes.energy.meters.file_meter import Account, FileMeter
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.energy.meters.hwmon_chips import UNKNOWN, Chip, chips
from lowlat_nodes.energy.meters.ina import FAMILY
from lowlat_nodes.energy.meters.integral import Integral
from lowlat_nodes.energy.meters.sysfs import NumberFile, fake_of, lasting_fault
from lowlat_nodes.stream.clock import Clock

_RANGE_UJ = 2**63  # these drivers add up the wraps of their registers themselves


@dataclass(frozen=True)
class _Sensor:
    chip: Chip
    name: str
    label: str
    path: Path
    energy: bool


@dataclass(frozen=True)
class _Part:
    """What a sensor is of; `graphics` for a card, which gets the next number."""

    device: str
    covers: tuple[str, ...]


_GRAPHICS = _Part("graphics", ("gpu",))
_PROCESSOR = _Part("cpu", ("package",))
_MACHINE = _Part("board", ("board",))


def find(
    root: Path,
    named: Mapping[str, str] | None = None,
    *,
    without_processors: bool = False,
    first_gpu: int = 0,
    clock: Clock | None = None,
) -> Found:
    """Return a meter for each sensor that is known.

    Args:
        root: Where sysfs is.
        named: What else is to be read, by name: whose work moves it; `board` for a sensor of everything.
        without_processors: Whether another source counts the processors already.
        first_gpu: Number of the first graphics card here.
        clock: Steady.
    """
    given = named or {}
    meters, missing = [], []
    gpu = first_gpu
    for sensor in (each for chip in chips(root) for each in _sensors(chip)):
        device = given.get(sensor.name)
        part = _Part(device, (device.rstrip("0123456789"),)) if device else _part(sensor)
        if part is None:
            missing.append(Missing(sensor.name, UNKNOWN.format(sensor.name)))
            continue
        if part is _PROCESSOR and without_processors:
            continue
        file = NumberFile(sensor.path)
        if error := lasting_fault([file]):
            file.close()
            missing.append(Missing(sensor.name, str(error)))
            continue
        account: Account = Counting(_RANGE_UJ, 1e-6) if sensor.energy else Integral()
        meter = FileMeter(
            sensor.name,
            [file],
            account,
            device=f"gpu{gpu}" if part is _GRAPHICS else part.device,
            covers=part.covers,
            fake=fake_of(root),
            clock=clock,
        )
        gpu += part is _GRAPHICS
        meters.append(meter)
    return Found(tuple(meters), tuple(missing))


def _sensors(chip: Chip) -> Iterator[_Sensor]:
    """Yield the sensors of a chip that tell power or energy; of one that has counters, only those."""
    if chip.driver.startswith((FAMILY, "i915_gt")):  # rails, and the tiles of a card
        return
    counters = chip.sensors("energy")
    kind = "energy" if counters else "power"
    labels = {chip.label(f"{kind}{index}_label") for index in counters}
    for index, path in (counters or chip.sensors("power")).items():
        label = chip.label(f"{kind}{index}_label")
        if label.startswith("Ecore") or (label == "pkg" and "card" in labels):  # parts of a socket, of a card
            continue
        yield _Sensor(
            chip, f"{chip.driver}/{chip.place}/{label or kind + index}", label, path, kind == "energy"
        )


def _part(sensor: _Sensor) -> _Part | None:
    """Return what the documentation of the driver has a sensor measure."""
    driver, label = sensor.chip.driver, sensor.label
    if driver == "amdgpu":
        # Only processors with graphics have a northbridge; their figure is of the whole package.
        return _PROCESSOR if sensor.chip.label("in1_label") == "vddnb" else _GRAPHICS
    if (driver, label) in {("i915", ""), ("xe", "card"), ("xe", "pkg")}:
        return _GRAPHICS
    if driver == "amd_energy" and label.startswith("Esocket"):
        return _PROCESSOR
    return _MACHINE if driver == "power_meter" else None
