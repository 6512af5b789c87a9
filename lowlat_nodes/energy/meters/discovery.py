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

_AWAKE = {("package",), ("core",), ("dram",), ("psys",), ("gpu", "gpu_memory")}
"""What the meters are of that count without end, unless they are dead."""


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
        for text in filter(None, self.sensors):
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

    def left_out(self) -> tuple[str, ...]:
        """Return the beginnings of names in `without`; empty ones, which fit any name, stand for none."""
        return tuple(filter(None, self.without))

    def named(self) -> dict[str, str]:
        """Return the device of each sensor in `sensors`, by name."""
        return {
            name: device for name, _, device in (text.rpartition("=") for text in filter(None, self.sensors))
        }


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
    found = _choose(_search(given, sysfs, clock), given.left_out(), battery)
    meters, missing = _prove(found.meters, clock), list(found.missing)
    if given.battery and battery is None:
        missing.append(Missing("battery", "lowlat energyd hears no topics; run energy_node in its place"))
    if given.model_busy_w <= 0.0 or MODEL.startswith(given.left_out()):
        return Found(tuple(meters), tuple(missing[:MAX_METERS]))
    better = [meter for meter in meters if meter.device in {"cpu", "board", "battery"}]
    model = CpuModel(given.model_idle_w, given.model_busy_w, better, fake=fake_of(sysfs), clock=clock)
    return Found((*meters, model), tuple(missing[:MAX_METERS]))


def _search(settings: MeterSettings, sysfs: Path, clock: Clock | None) -> Found:
    processors = rapl.find(sysfs, clock)
    graphics = _nvidia(sysfs, clock)
    counted = any(not meter.name.startswith(settings.left_out()) for meter in processors.meters)
    # One whose number is taken by the driver may itself be missing.
    first_gpu = max((int(meter.device.removeprefix("gpu")) + 1 for meter in graphics.meters), default=0)
    parts = (
        processors,
        ina.find(sysfs, settings.named(), clock),
        graphics,
        hwmon.find(
            sysfs,
            settings.named(),
            without_processors=counted,
            first_gpu=first_gpu,
            clock=clock,
        ),
    )
    meters = tuple(meter for part in parts for meter in part.meters)
    return Found(meters, tuple(each for part in parts for each in part.missing))


def _choose(found: Found, left_out: tuple[str, ...], battery: BatteryMeter | None) -> Found:
    """Return the meters that are wanted, with names of their own, and no more than there may be."""
    meters: list[Meter] = []
    missing = list(found.missing)
    for meter in (*found.meters, *([battery] if battery else [])):
        why = ""
        if meter.name.startswith(left_out):
            why = "left out, as the settings say"
        elif any(meter.name == other.name for other in meters):
            why = "there is a second one of this name"
        elif len(meters) == MAX_METERS - 1:  # and the model
            why = f"there are more than {MAX_METERS} meters"
        if why:
            missing.append(Missing(meter.name, why))
            meter.close()
        else:
            meters.append(meter)
    return Found(tuple(meters), tuple(missing))


def _nvidia(sysfs: Path, clock: Clock | None) -> Found:
    """Return the GPUs of the driver, which must be a fake as well beside a fake tree."""
    found = nvml.find(clock)
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
            sleeps = meter.covers not in _AWAKE
            proved[meter.name] = Proved(meter, prove(whole) if whole else None, sleeps=sleeps, clock=clock)
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
