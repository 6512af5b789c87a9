# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Jetson boards, and whatever else has a power monitor of the INA family: rails by their labels.

The sensors give power, which is integrated from reading to reading. Rails are told by label, never by
channel: the numbers differ from board to board, and so does what hangs on a rail.

Labels and what they include: for the Orin family the device trees of Linux (tegra234-p3701, tegra234-p3767)
and the Jetson Linux developer guide on power consumption, which has it that VDDQ_VDD2_1V8AO is a part of
VIN_SYS_5V0 and VDD_IN the whole module; for Thor, whose INA238 measures the whole board, NVIDIA's forum and
jetson-stats. Files as in Documentation/hwmon/ina3221.rst and ina238.rst. We have seen none of these boards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lowlat_nodes.energy.figures import Missing
from lowlat_nodes.energy.meters.file_meter import FileMeter
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.energy.meters.hwmon_chips import UNKNOWN, Chip, chips
from lowlat_nodes.energy.meters.integral import Integral
from lowlat_nodes.energy.meters.sum_meter import SumMeter
from lowlat_nodes.energy.meters.sysfs import NumberFile, Unreadable, fake_of, lasting_fault, number
from lowlat_nodes.stream.clock import Clock

FAMILY = "ina"
"""What the names of their drivers begin with."""

SUM = "ina3221/sum"
"""The meter of a module without a rail for everything."""


@dataclass(frozen=True)
class _Rail:
    device: str
    covers: tuple[str, ...]
    part_of: str = ""


# A rail that processor and graphics share is of neither: nobody can say how much of it is whose.
_TOTALS = {
    "VIN": _Rail("board", ("board",)),  # AGX Thor with its carrier board
    "VDD_IN": _Rail("board", ("module",)),  # Orin NX, Orin Nano, Xavier NX
    "POM_5V_IN": _Rail("board", ("module",)),  # Nano
}
_PARTS = {
    "VDD_CPU_GPU_CV": _Rail("other", ("cpu", "gpu", "cv")),
    "VDD_SOC": _Rail("other", ("soc",)),
    "VDD_GPU_SOC": _Rail("gpu0", ("gpu", "soc")),  # AGX Orin
    "VDD_CPU_CV": _Rail("cpu", ("cpu", "cv")),
    "VIN_SYS_5V0": _Rail("other", ("io", "memory")),
    "VDDQ_VDD2_1V8AO": _Rail("memory", ("memory",), part_of="VIN_SYS_5V0"),
    "VDD_GPU": _Rail("gpu0", ("gpu",)),  # AGX Thor
    "VDD_CPU_SOC_MSS": _Rail("cpu", ("cpu", "soc", "memory")),
    "GPU": _Rail("gpu0", ("gpu",)),  # AGX Xavier
    "CPU": _Rail("cpu", ("cpu",)),
    "SOC": _Rail("other", ("soc",)),
    "CV": _Rail("other", ("cv",)),
    "VDDRQ": _Rail("memory", ("memory",)),
    "SYS5V": _Rail("other", ("io",)),
    "POM_5V_GPU": _Rail("gpu0", ("gpu",)),
    "POM_5V_CPU": _Rail("cpu", ("cpu",)),
}
# Boards without a rail for everything: what must be added for the module.
_SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)


@dataclass
class _Sensor:
    """One channel of a chip: volts times amperes, or watts."""

    chip: Chip
    number: str
    label: str
    files: list[NumberFile]
    step_uw: float = 0.0
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.chip.driver}/{self.label or f'{self.chip.place}/{self.number}'}"


def find(root: Path, named: Mapping[str, str] | None = None, clock: Clock | None = None) -> Found:
    """Return a meter for each rail with a label that is known, and their sum where no rail is of everything.

    Args:
        root: Where sysfs is.
        named: What else is to be read, by name: whose work moves it; `board` for a sensor of everything.
        clock: Steady.
    """
    rails, missing = _rails(root, named or {})
    names = {sensor.label: name for name, (sensor, _) in rails.items() if sensor.label}
    wholes = [names[label] for label in _TOTALS if label in names]
    wholes += [name for name, (_, rail) in rails.items() if rail.covers == ("board",) and name not in wholes]
    parts = max(_SUMS, key=lambda labels: sum(label in names for label in labels))
    absent = [label for label in parts if label not in names]
    whole = wholes[0] if wholes else "" if absent else SUM
    meters = {
        name: FileMeter(
            name,
            sensor.files,
            Integral(step_uw=sensor.step_uw),
            device=rail.device,
            covers=rail.covers,
            part_of=names.get(rail.part_of, whole if name != whole else ""),
            fake=fake_of(root),
            period_s=_period_s(sensor.chip),
            clock=clock,
        )
        for name, (sensor, rail) in rails.items()
    }
    if whole == SUM:
        added = [meters[names[label]] for label in parts]
        total = SumMeter(SUM, added, device="board", covers=("module",), fake=fake_of(root))
        return Found((*meters.values(), total), tuple(missing))
    if not wholes and len(absent) < len(parts):
        why = f"the module takes the sum of {', '.join(parts)}, of which {', '.join(absent)} cannot be read"
        missing.append(Missing(SUM, why))
    return Found(tuple(meters.values()), tuple(missing))


def _rails(root: Path, named: Mapping[str, str]) -> tuple[dict[str, tuple[_Sensor, _Rail]], list[Missing]]:
    rails: dict[str, tuple[_Sensor, _Rail]] = {}
    missing = []
    for sensor in (each for chip in chips(root) if chip.driver.startswith(FAMILY) for each in _sensors(chip)):
        rail = _TOTALS.get(sensor.label) or _PARTS.get(sensor.label)
        if device := named.get(sensor.name):
            rail = _Rail(device, (device.rstrip("0123456789"),))
        why = UNKNOWN.format(sensor.name) if rail is None else ""
        if sensor.name in rails:
            why = f"a second rail of this name is at {sensor.chip.place}"
        if error := lasting_fault(sensor.files):
            why = str(error)
        if rail is not None and not why:
            rails[sensor.name] = sensor, rail
            continue
        missing.append(Missing(sensor.name, why))
        for file in sensor.files:
            file.close()
    return rails, missing


def _sensors(chip: Chip) -> Iterator[_Sensor]:
    """Yield the channels of a chip that are in use; channels that are sums of others are not."""
    power = chip.sensors("power")
    volts, amperes = chip.sensors("in"), chip.sensors("curr")
    for index in power or [index for index in volts if index in amperes and int(index) <= 3]:
        names = (
            f"power{index}_label",
            f"in{index}_label",
            f"curr{index}_label",
            *(("label",) if power else ()),
        )
        label = chip.label(*names)
        if label == "NC" or chip.label(f"in{index}_enable") == "0":
            continue
        paths = [power[index]] if power else [volts[index], amperes[index]]
        sensor = _Sensor(chip, index, label, [NumberFile(path) for path in paths])
        if not power:
            sensor.step_uw = _step_uw(chip, index, volts[index])
        yield sensor


def _step_uw(chip: Chip, index: str, volts: Path) -> float:
    """Return what a step of an INA3221 is worth: 40 microvolts over its shunt, at the present voltage."""
    try:
        return 40.0 / number(chip.folder / f"shunt{index}_resistor") * number(volts) * 1000.0
    except (Unreadable, ZeroDivisionError):
        return 0.0


def _period_s(chip: Chip) -> float:
    try:
        return number(chip.folder / "update_interval") / 1000.0
    except Unreadable:
        return 0.0
