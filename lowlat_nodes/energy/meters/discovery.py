# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""All meters of this host: what counts, what includes what, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.energy.figures import MAX_METERS, Missing
from lowlat_nodes.energy.meters import hwmon, ina, nvml, rapl
from lowlat_nodes.energy.meters.battery import BatteryMeter
from lowlat_nodes.energy.meters.cpu_model import BUSY_W, IDLE_W, MODEL, CpuModel
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.energy.meters.proved import Proved
from lowlat_nodes.energy.meters.sysfs import fake_of, root_of
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Meter

_DEVICE = re.compile(r"(cpu|memory|other|board|gpu[0-9]{1,2})\Z")
_INCLUSIVE = (("module",), ("psys",), ("board",), ("robot",))
"""What the meters are of that include others, from the narrowest."""


@dataclass(frozen=True)
class MeterSettings:
    """What to read on this host.

    Raises:
        ConfigurationError: If a sensor is of no device, or a CPU uses less when it works than when it idles.
    """

    without: tuple[str, ...] = setting(
        (), doc="Meters to leave out, by name or by its beginning: rapl/psys, or rapl/ for all of those."
    )
    sensors: tuple[str, ...] = setting(
        (),
        doc="Sensors that only you can tell, as NAME=DEVICE: whose work moves the one of that name among the "
        "missing; cpu, memory, gpu0, gpu1, ..., other, or board for a sensor of everything.",
    )
    battery: str = setting(
        "", doc="Topic of the robot's battery (sensor_msgs/BatteryState), for energy_node; empty for none."
    )
    model_idle_w: float = setting(
        IDLE_W, unit="W", low=0.0, high=100.0, doc="What the model takes a CPU that idles to use."
    )
    model_busy_w: float = setting(
        BUSY_W,
        unit="W",
        low=0.0,
        high=100.0,
        doc="What the model takes a CPU that works to use; 0 for no model where nothing measures.",
    )

    def __post_init__(self) -> None:
        for text in self.sensors:
            if not _DEVICE.match(text.rpartition("=")[2]):
                raise ConfigurationError(
                    f"parameter 'sensors': expected NAME=DEVICE, with cpu, memory, gpu0, gpu1, ..., other or "
                    f"board as DEVICE, got {text!r}; `lowlat energy meters` shows the names"
                )
        if 0.0 < self.model_busy_w < self.model_idle_w:
            raise ConfigurationError(
                f"expected model_busy_w of at least model_idle_w, {self.model_idle_w:g} W, "
                f"got {self.model_busy_w:g} W"
            )

    def named(self) -> dict[str, str]:
        """Return the device of each sensor in `sensors`, by name."""
        return {name: device for name, _, device in (text.rpartition("=") for text in self.sensors)}


def find_meters(
    settings: MeterSettings | None = None,
    root: Path | None = None,
    clock: Clock | None = None,
    battery: BatteryMeter | None = None,
) -> Found:
    """Return the meters of this host, each of which counts once its counter was seen to move.

    They are to be read in order, one after the other, by one thread: which includes which, and whether the
    model is needed, goes by what counts at the moment, so that `part_of` may change from reading to reading.

    Args:
        settings: What to read; None for the defaults.
        root: Where sysfs is; None for $LOWLAT_SYSFS_ROOT, or /sys. Below any other all meters are fake.
        clock: Steady.
        battery: The robot's, where somebody hears it.
    """
    given = settings or MeterSettings()
    sysfs = root_of(root)
    processors = rapl.find(sysfs, clock)
    nvidia = _nvidia(sysfs)
    others = hwmon.find(
        sysfs,
        given.named(),
        without_processors=bool(processors.meters),
        first_gpu=len(nvidia.meters),
        clock=clock,
    )
    parts = [processors, ina.find(sysfs, given.named(), clock), nvidia, others]
    missing = [each for part in parts for each in part.missing]
    without = tuple(filter(None, given.without))
    meters: list[Meter] = []
    for meter in [each for part in parts for each in part.meters] + ([battery] if battery else []):
        why = "left out, as the settings say" if meter.name.startswith(without) else ""
        if any(meter.name == other.name for other in meters):
            why = "there is a second one of this name"
        if len(meters) == MAX_METERS - 1:
            why = f"there are more than {MAX_METERS} meters"
        if why:
            missing.append(Missing(meter.name, why))
            meter.close()
        else:
            meters.append(meter)
    if given.battery and battery is None:
        missing.append(
            Missing("battery", "only energy_node hears topics; run that in place of lowlat energyd")
        )
    found = _prove(meters, clock)
    if given.model_busy_w > 0.0 and not MODEL.startswith(without):
        better = [each for each in found if each.device in {"cpu", "board", "battery"}]
        model = CpuModel(given.model_idle_w, given.model_busy_w, better, fake=fake_of(sysfs), clock=clock)
        return Found((*found, model), tuple(missing[:MAX_METERS]))
    return Found(tuple(found), tuple(missing[:MAX_METERS]))


def _nvidia(sysfs: Path) -> Found:
    """Return the GPUs of the driver, which must be a fake as well beside a fake tree."""
    found = nvml.find()
    fitting = tuple(meter for meter in found.meters if meter.fake or not fake_of(sysfs))
    for meter in set(found.meters) - set(fitting):
        meter.close()
    return Found(fitting, found.missing)


def _prove(meters: Sequence[Meter], clock: Clock | None) -> list[Proved]:
    """Return the meters in the same order, each with the one that includes it."""
    by_name = {meter.name: meter for meter in meters}
    proved: dict[str, Proved] = {}

    def prove(meter: Meter) -> Proved:
        if meter.name not in proved:
            whole = by_name.get(meter.part_of) or _whole(meter, meters)
            proved[meter.name] = Proved(meter, prove(whole) if whole else None, clock)
        return proved[meter.name]

    return [prove(meter) for meter in meters]


def _whole(meter: Meter, meters: Sequence[Meter]) -> Meter | None:
    """Return the narrowest meter that includes one of which nothing else is known.

    Of two that are of the same, such as a board, the first is taken to include the other.
    """
    own = _INCLUSIVE.index(meter.covers) if meter.covers in _INCLUSIVE else -1
    same = next(each for each in meters if each.covers == meter.covers)
    if own >= 0 and same is not meter:
        return same
    wider = _INCLUSIVE[own + 1 :]
    return next((each for covers in wider for each in meters if each.covers == covers), None)
