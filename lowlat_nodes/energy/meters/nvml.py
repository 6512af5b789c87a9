# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Meters of NVIDIA GPUs: the energy counter of the driver, or its power over time.

Each is of a whole GPU with its memory, also where that is divided (MIG), and only of what the driver saw: the
sensors of A100 and H100 look at a quarter of the time, so that work whose power changes in step with them is
misread ("Part-time Power Measurements", arXiv 2312.02741). Figures of many seconds are better than of one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from lowlat_nodes.energy.figures import Missing
from lowlat_nodes.energy.meters.found import Found
from lowlat_nodes.energy.nvidia import DRIVER, LIBRARY_NOT_FOUND, NOT_SUPPORTED, Device, Driver, Refused
from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.stream.meter import Kind, Meter, Reading

# Field of nvmlDeviceGetFieldValues: power at this moment, mW.
_POWER_INSTANT = 186
# Members of its union by nvmlValueType_t: double, unsigned, unsigned long, ... signed, unsigned short.
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")

_PROBES, _PROBE_S = 30, 0.02
# Above what any one GPU draws; a step of the counter beyond it is a fault and no energy.
_MOST_W = 5000.0
# Power that was seen so long ago says nothing about the time since.
_LONGEST_NS = 5_000_000_000


class _GpuMeter(ABC):
    """What both kinds have in common; used by one thread."""

    covers: tuple[str, ...] = ("gpu", "gpu_memory")
    part_of = ""

    def __init__(self, driver: Driver, device: Device, clock: Clock, period_s: float) -> None:
        self.name = f"nvml/{device.index}"
        self.device = f"gpu{device.index}"
        self.fake = device.fake
        self._driver, self._gpu, self._clock = driver, device, clock
        self._period_s = period_s
        self._joules, self._breaks = 0.0, 0
        self._time_ns = clock.now_ns()
        self._away = self._closed = False
        driver.acquire()

    def read(self) -> Reading:
        """Return the present reading; see `stream.meter.Meter`."""
        now_ns = self._clock.now_ns()
        try:
            self._advance(now_ns)
        except Refused as error:
            self._away = True
            return self._reading(Kind.UNAVAILABLE, str(error))
        self._away, self._time_ns = False, now_ns
        return self._reading(Kind.MEASURED, "")

    def close(self) -> None:
        """Stop the driver's library after its last user."""
        if not self._closed:
            self._closed = True
            self._driver.release()

    @abstractmethod
    def _advance(self, now_ns: int) -> None:
        """Add what was used until now; where it cannot be known, as after `_away`, count a break.

        Raises:
            Refused: The driver has no answer.
        """

    def _reading(self, kind: Kind, why: str) -> Reading:
        return Reading(self._joules, self._time_ns, kind, self._period_s, 1e-3, self._breaks, why)


class EnergyCounter(_GpuMeter):
    """The driver's count of millijoules since it was loaded: Volta and later; moves about every 100 ms."""

    def __init__(self, driver: Driver, device: Device, clock: Clock, start_mj: int) -> None:
        super().__init__(driver, device, clock, period_s=0.1)
        self._count_mj, self._moved_ns = start_mj, self._time_ns

    def _advance(self, now_ns: int) -> None:
        count_mj = int(self._gpu.ask("nvmlDeviceGetTotalEnergyConsumption"))
        step_j = (count_mj - self._count_mj) / 1000.0
        # A second more than went by: the counter moves in steps, and nobody says when.
        most_j = _MOST_W * ((now_ns - self._moved_ns) / 1e9 + 1.0)
        if self._away or not 0.0 <= step_j <= most_j:
            self._breaks += 1
        else:
            self._joules += step_j
        if self._away or step_j != 0.0:
            self._count_mj, self._moved_ns = count_mj, now_ns


class IntegratedPower(_GpuMeter):
    """The driver's power, summed over time: for a GPU without a counter of energy."""

    def __init__(
        self, driver: Driver, device: Device, clock: Clock, start_w: float, *, instant: bool
    ) -> None:
        # Most GPUs since Ampere give the average of a second, where they are not asked for the instant.
        super().__init__(driver, device, clock, period_s=0.1 if instant else 1.0)
        self._watts, self._instant = start_w, instant

    def _advance(self, now_ns: int) -> None:
        watts = _watts(self._gpu, instant=self._instant)
        elapsed_ns = now_ns - self._time_ns
        if self._away or elapsed_ns > _LONGEST_NS:
            self._breaks += 1
        else:
            self._joules += (self._watts + watts) / 2.0 * elapsed_ns / 1e9
        self._watts = watts


def find(
    clock: Clock | None = None, driver: Driver = DRIVER, sleep: Callable[[float], None] = time.sleep
) -> Found:
    """Open a meter for each GPU that the driver shows to this process.

    A counter that does not advance within 0.6 s is no meter, and the GPU's power is used instead.

    Args:
        clock: Steady.
        driver: NVML of this process.
        sleep: Waits for counters, s.
    """
    steady = clock or SteadyClock()
    try:
        driver.acquire()
    except MissingExtra as error:
        why = f"{error} (for NVIDIA GPUs; without one there is nothing to do)"
        return Found(missing=(Missing("nvml", why),))
    except Refused as error:
        return Found(missing=(Missing("nvml", _no_driver(error)),))
    try:
        devices = driver.devices(steady)
        counts = _moving_counters(devices, sleep)
        found = [_open(driver, device, steady, counts.get(device.index)) for device in devices]
    except Refused as error:
        return Found(missing=(Missing("nvml", str(error)),))
    finally:
        driver.release()
    if not found:
        why = "the NVIDIA driver shows this process no GPU; a container must be given one (--gpus all)"
        return Found(missing=(Missing("nvml", why),))
    return Found(
        tuple(each for each in found if not isinstance(each, Missing)),
        tuple(each for each in found if isinstance(each, Missing)),
    )


def _moving_counters(devices: Sequence[Device], sleep: Callable[[float], None]) -> dict[int, int]:
    """Return the present count, mJ, of each device whose counter of energy was seen to advance."""
    first = {device.index: _count_mj(device) for device in devices}
    waiting = [device for device in devices if first[device.index] is not None]
    moving: dict[int, int] = {}
    for _ in range(_PROBES):
        if not waiting:
            break
        sleep(_PROBE_S)
        for device in waiting:
            before, count = first[device.index], _count_mj(device)
            if before is not None and count is not None and count > before:
                moving[device.index] = count
        waiting = [device for device in waiting if device.index not in moving]
    return moving


def _count_mj(device: Device) -> int | None:
    try:
        return int(device.ask("nvmlDeviceGetTotalEnergyConsumption"))
    except Refused:
        return None


def _open(driver: Driver, device: Device, clock: Clock, count_mj: int | None) -> Meter | Missing:
    if count_mj is not None:
        return EnergyCounter(driver, device, clock, count_mj)
    try:
        return _open_power(driver, device, clock)
    except Refused as error:
        why = (
            f"{device.name} gives neither energy nor power ({error}); a GPU in a Jetson is measured by the "
            "power rails of its board, a virtual GPU by its host"
        )
        return Missing(f"nvml/{device.index}", why)


def _open_power(driver: Driver, device: Device, clock: Clock) -> IntegratedPower:
    try:
        instant = _watts(device, instant=True) > 0.0
    except Refused:
        instant = False
    watts = _watts(device, instant=instant)
    if watts == 0.0:
        raise Refused("its power reads 0 W, and its counter of energy does not advance", NOT_SUPPORTED)
    return IntegratedPower(driver, device, clock, watts, instant=instant)


def _watts(device: Device, *, instant: bool) -> float:
    if not instant:
        return float(device.ask("nvmlDeviceGetPowerUsage")) / 1000.0
    (field,) = device.ask("nvmlDeviceGetFieldValues", [_POWER_INSTANT])
    if field.nvmlReturn != 0 or field.valueType >= len(_MEMBERS):
        raise Refused("the field of instantaneous power has no value", int(field.nvmlReturn))
    return float(getattr(field.value, _MEMBERS[field.valueType])) / 1000.0


def _no_driver(error: Refused) -> str:
    if error.code == LIBRARY_NOT_FOUND:
        return (
            "no NVIDIA driver here (libnvidia-ml.so.1 was not found); with an NVIDIA GPU, install its driver "
            "or give the container the capability `utility` (NVIDIA_DRIVER_CAPABILITIES)"
        )
    return f"{error}; see that nvidia-smi works for this user, then start again"
