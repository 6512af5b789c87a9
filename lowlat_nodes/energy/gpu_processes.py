# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""GPU time of each process, from the utilisation that NVIDIA's driver samples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lowlat_nodes.energy.nvidia import DRIVER, INSUFFICIENT_SIZE, Device, Driver, Refused
from lowlat_nodes.stream.clock import Clock, SteadyClock, SystemClock
from lowlat_nodes.stream.errors import MissingExtra

# The driver samples every 1/6 s to 1 s, depending on the product.
_SLOWEST_US = 1_000_000
# Beyond how late sampling and reading may be; a sample further ahead is garbage, which drivers do give.
_LATE_US = 2_000_000
# A step of the clock that the samples are stamped with, beyond what slewing does between two readings.
_STEP_NS = 500_000_000
# A GPU this busy for so long without a process to show is not just between two samples.
_BLIND_PERCENT, _BLIND_NS = 5, 5_000_000_000
_MOST_PROCESSES = 1024
# The namespace of process ids that a machine starts with (PROC_PID_INIT_INO of Linux).
_FIRST_NAMESPACE = "pid:[4026531836]"

_OWN_IDS = (
    "the driver names processes by the ids of the host, and this process lives in a container with ids of "
    "its own; share the host's (docker run --pid=host)"
)
_MIG = (
    "the GPU is divided (MIG), and the driver then samples no process; its energy stays unattributed, unless "
    "MIG is turned off (nvidia-smi -mig 0)"
)
_NO_SAMPLES = (
    "this GPU's driver samples no process (Not Supported), as on Jetsons and with virtual GPUs; its energy "
    "stays unattributed, but for what nodes measure themselves"
)
_BLIND = (
    "the GPU is {percent} % busy and the driver names no process; run the sampler on the host itself, in no "
    "container and no WSL"
)


class GpuProcesses:
    """How long each process has kept each GPU busy, since this was made; used by one thread.

    The driver gives the mean SM utilisation of a process, in whole percent, over the time since the sample
    that was read before. That times the time is what is summed here. Processes that run at once, as under
    MPS, each count the whole time, so that the sum may be more than the time that went by.

    A process id may come to name another process. Whoever reads tells them apart by when they started.

    Args:
        driver: NVML of this process.
        clock: Steady.
        unix_clock: What the driver stamps its samples with.
        namespace: A link that names the namespace of process ids that this process lives in.

    Attributes:
        why: For each GPU, such as `gpu0`, whose processes cannot be told: why, with the remedy. For all of
            them under `gpu` where there is no driver. As of the latest reading.
    """

    def __init__(
        self,
        driver: Driver = DRIVER,
        clock: Clock | None = None,
        unix_clock: Clock | None = None,
        namespace: Path = Path("/proc/self/ns/pid"),
    ) -> None:
        self.why: dict[str, str] = {}
        self._driver = driver
        self._gpus: list[_Gpu] = []
        self._own_ids = _is_not_the_first(namespace)
        self._open = False
        try:
            driver.acquire()
            self._open = True
            steady, unix = clock or SteadyClock(), unix_clock or SystemClock()
            self._gpus = [_Gpu(device, steady, unix) for device in driver.devices(steady)]
        except (MissingExtra, Refused) as error:
            self.why["gpu"] = str(error)

    def read(self) -> dict[tuple[str, int], int]:
        """Return the time, ns, of each process by GPU and process id; never raises, and never falls.

        Processes stay in it after their end, the latest 1024 of each GPU. A GPU whose processes cannot be
        told has a line in `why`, and what is returned of it does not grow.
        """
        found = {}
        for gpu in self._gpus:
            why = _OWN_IDS if self._own_ids else gpu.advance()
            if why:
                self.why[gpu.name] = why
            else:
                self.why.pop(gpu.name, None)
            found.update({(gpu.name, pid): ns for pid, ns in gpu.busy_ns.items()})
        return found

    def close(self) -> None:
        """Stop the driver's library after its last user."""
        if self._open:
            self._open = False
            self._driver.release()


class _Gpu:
    """The processes of one GPU."""

    def __init__(self, device: Device, clock: Clock, unix_clock: Clock) -> None:
        self.name = f"gpu{device.index}"
        self.busy_ns: dict[int, int] = {}
        self._device, self._clock, self._unix_clock = device, clock, unix_clock
        # The newest sample that was counted, by the driver's clock, and when we read it; 0 for none.
        self._newest_us, self._newest_ns = 0, 0
        # When the driver was last asked; 0 where what it said then is of no use.
        self._read_ns = 0
        self._offset_ns = unix_clock.now_ns() - clock.now_ns()
        self._blind_ns: int | None = None

    def advance(self) -> str:
        """Count the samples since the last call; return why there can be none."""
        now, unix = self._clock.now_ns(), self._unix_clock.now_ns()
        if abs(unix - now - self._offset_ns) > _STEP_NS:
            self._newest_us = self._read_ns = 0
        self._offset_ns = unix - now
        since_us = self._since_us()
        try:
            if self._is_divided():
                self._newest_us = self._read_ns = 0
                return _MIG
            samples = self._device.ask("nvmlDeviceGetProcessUtilization", since_us)
        except Refused as error:
            if error.nothing:
                self._read_ns = now
                return self._nothing(now)
            if error.code == INSUFFICIENT_SIZE:  # one more has come since the driver said how many; next time
                return ""
            self._newest_us = self._read_ns = 0
            return _NO_SAMPLES if error.never else str(error)
        self._blind_ns = None
        self._count(samples, since_us, now, unix)
        self._read_ns = now
        return ""

    def _since_us(self) -> int:
        """Return the time, by the driver's clock, since when there can be samples that were not counted.

        While a GPU is idle there are none, and time goes on: what comes next must not be taken for the mean
        of all that time.
        """
        if not self._newest_us:
            return 0
        return self._newest_us + max(0, (self._read_ns - self._newest_ns) // 1000 - _SLOWEST_US)

    def _count(self, samples: Iterable[Any], since_us: int, now: int, unix: int) -> None:
        latest_us = unix // 1000 + _LATE_US
        if self._newest_us:
            latest_us = self._newest_us + (now - self._newest_ns) // 1000 + _LATE_US
        good = {
            int(sample.pid): sample
            for sample in sorted(samples, key=lambda sample: int(sample.timeStamp))
            if sample.pid and sample.smUtil <= 100 and since_us < sample.timeStamp <= latest_us
        }
        if not good:
            return
        newest_us = max(int(sample.timeStamp) for sample in good.values())
        if self._newest_us:
            span_ns = (newest_us - since_us) * 1000
        else:
            span_ns = now - self._read_ns if self._read_ns else 0
        for pid, sample in good.items():
            # Taken out and put in again, so that the first are those that have been idle for longest.
            self.busy_ns[pid] = self.busy_ns.pop(pid, 0) + span_ns * int(sample.smUtil) // 100
        while len(self.busy_ns) > _MOST_PROCESSES:
            del self.busy_ns[next(iter(self.busy_ns))]
        self._newest_us, self._newest_ns = newest_us, now

    def _is_divided(self) -> bool:
        try:
            current, _ = self._device.ask("nvmlDeviceGetMigMode")
        except Refused as error:
            if error.never:
                return False
            raise
        return bool(current)

    def _nothing(self, now: int) -> str:
        """Return why a GPU shows no process at work: nothing, where it is idle too."""
        try:
            percent = int(self._device.ask("nvmlDeviceGetUtilizationRates").gpu)
        except Refused:
            return ""
        if percent < _BLIND_PERCENT:
            self._blind_ns = None
            return ""
        self._blind_ns = now if self._blind_ns is None else self._blind_ns
        return _BLIND.format(percent=percent) if now - self._blind_ns >= _BLIND_NS else ""


def _is_not_the_first(namespace: Path) -> bool:
    try:
        return str(namespace.readlink()) != _FIRST_NAMESPACE
    except OSError:  # no Linux
        return False
