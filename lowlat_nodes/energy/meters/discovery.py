# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""All meters of this host: what counts, what includes what, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.energy.figures import MAX_METERS, Missing
from lowlat_nodes.energy.meters import rapl
from lowlat_nodes.energy.meters.cpu_model import BUSY_W, IDLE_W, CpuModel
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.energy.meters.proved import Proved
from lowlat_nodes.energy.meters.sysfs import fake_of, root_of
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Meter


@dataclass(frozen=True)
class MeterSettings:
    """What to read on this host.

    Raises:
        ConfigurationError: If a CPU that works is to use less than one that idles.
    """

    without: tuple[str, ...] = setting(
        (), doc="Meters to leave out, by name or by its beginning: rapl/psys, or rapl/ for all of those."
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
        if 0.0 < self.model_busy_w < self.model_idle_w:
            raise ConfigurationError(
                f"expected model_busy_w of at least model_idle_w, {self.model_idle_w:g} W, "
                f"got {self.model_busy_w:g} W"
            )


def find_meters(
    settings: MeterSettings | None = None, root: Path | None = None, clock: Clock | None = None
) -> Found:
    """Return the meters of this host, each of which counts once its counter was seen to move.

    They are to be read in order, one after the other, by one thread: which includes which, and whether the
    model is needed, goes by what counts at the moment, so that `part_of` may change from reading to reading.

    Args:
        settings: What to read; None for the defaults.
        root: Where sysfs is; None for $LOWLAT_SYSFS_ROOT, or /sys. Below any other all meters are fake.
        clock: Steady.
    """
    given = settings or MeterSettings()
    sysfs = root_of(root)
    parts = [rapl.find(sysfs, clock)]
    missing = [each for part in parts for each in part.missing]
    meters: list[Meter] = []
    for meter in (each for part in parts for each in part.meters):
        if any(meter.name.startswith(name) for name in given.without):
            missing.append(Missing(meter.name, "left out, as the settings say"))
            meter.close()
        else:
            meters.append(meter)
    proved = _prove(meters[: MAX_METERS - 1], clock)
    for meter in meters[MAX_METERS - 1 :]:
        missing.append(Missing(meter.name, f"left out: there are more than {MAX_METERS} meters"))
        meter.close()
    if given.model_busy_w <= 0.0:
        return Found(tuple(proved), tuple(missing))
    better = [each for each in proved if each.device in {"board", "battery"} or each.covers == ("package",)]
    model = CpuModel(given.model_idle_w, given.model_busy_w, better, fake=fake_of(sysfs), clock=clock)
    return Found((*proved, model), tuple(missing))


def _prove(meters: Sequence[Meter], clock: Clock | None) -> list[Proved]:
    """Return the meters in an order in which each comes after the one that includes it."""
    by_name = {meter.name: meter for meter in meters}
    proved: dict[str, Proved] = {}

    def prove(meter: Meter) -> Proved:
        if meter.name not in proved:
            whole = by_name.get(meter.part_of)
            proved[meter.name] = Proved(meter, prove(whole) if whole else None, clock)
        return proved[meter.name]

    for meter in meters:
        prove(meter)
    return list(proved.values())
