# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""GPUs behind NVML, each found again by its UUID after its driver was away.

NVML is `libnvidia-ml.so.1` of NVIDIA's driver, called through nvidia-ml-py. Specification: "NVML API
Reference Guide", NVIDIA, release 590.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.errors import LowlatError, MissingExtra

NOT_SUPPORTED, INSUFFICIENT_SIZE, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND = 3, 7, 9, 12
"""Some values of nvmlReturn_t."""

# No answer, ever: not supported, no such function in this driver.
_NEVER = {NOT_SUPPORTED, 13}
# No answer now: none newer (which may come as success without any), not found, no data.
_NOTHING = {0, 6, 21}
# The driver or the GPU is away, or has been since the handle was made: uninitialised, invalid handle, driver
# not loaded, interrupt trouble, GPU lost, reset required, refused by the operating system, another version
# than the library's, GPU not found, unknown (as in a container that lost its access to the device).
_AWAY = {1, 2, DRIVER_NOT_LOADED, 11, 15, 16, 17, 18, 28, 999}

_FIRST_RETRY_NS, _LAST_RETRY_NS = 1_000_000_000, 32_000_000_000


class Refused(LowlatError):
    """The driver has no answer.

    Attributes:
        code: Its nvmlReturn_t.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code

    @property
    def never(self) -> bool:
        """Whether this GPU with this driver never answers that."""
        return self.code in _NEVER

    @property
    def nothing(self) -> bool:
        """Whether there is just nothing to tell at present."""
        return self.code in _NOTHING


class Driver:
    """NVML of this process, running while somebody uses it; all of them in one thread.

    `DRIVER` is the one instance: the library is of the whole process too, and starts anew only once everybody
    in it has shut it down.

    Attributes:
        starts: How often it was started; handles of GPUs are good until the next.
    """

    def __init__(self) -> None:
        self.starts = 0
        self._users = 0
        self._running = False

    def acquire(self) -> None:
        """Use the library until `release`.

        Raises:
            MissingExtra: nvidia-ml-py is not installed.
            Refused: There is no driver, or it does not start.
        """
        self.start()
        self._users += 1

    def release(self) -> None:
        """Stop the library after its last user."""
        self._users -= 1
        if self._users == 0:
            self.stop()

    def start(self) -> None:
        """Start the library where it does not run.

        Raises:
            MissingExtra, Refused: As `acquire`.
        """
        if not self._running:
            call(_nvml().nvmlInit)
            self._running = True
            self.starts += 1

    def stop(self) -> None:
        """Stop the library, so that it forgets a driver that has gone and lets go of a GPU to be reset."""
        if self._running:
            self._running = False
            with contextlib.suppress(Refused):  # one that has lost its driver may not know that it runs
                call(_nvml().nvmlShutdown)

    def devices(self, clock: Clock) -> list[Device]:
        """Return the GPUs that the driver shows to this process, in its order, but those that are lost."""
        found = (self._device(index, clock) for index in range(call(_nvml().nvmlDeviceGetCount)))
        return [device for device in found if device is not None]

    def _device(self, index: int, clock: Clock) -> Device | None:
        nvml = _nvml()
        try:
            handle = call(nvml.nvmlDeviceGetHandleByIndex, index)
            uuid, name = call(nvml.nvmlDeviceGetUUID, handle), call(nvml.nvmlDeviceGetName, handle)
        except Refused:
            return None
        return Device(self, index, uuid, name, clock)


DRIVER = Driver()


class Device:
    """One GPU.

    Args:
        driver: Runs while the device is used.
        index: Its place in the order of the driver.
        uuid: Its UUID, by which it is found again.
        name: Its name of sale.
        clock: Steady.
    """

    def __init__(self, driver: Driver, index: int, uuid: str, name: str, clock: Clock) -> None:
        self.index, self.uuid, self.name = index, uuid, name
        self._driver, self._clock = driver, clock
        self._handle: Any = None
        self._handle_start = 0
        self._retry_ns, self._wait_ns = 0, _FIRST_RETRY_NS
        self._away: Refused | None = None

    @property
    def fake(self) -> str:
        """What stands behind it where that is no GPU; empty for a real one."""
        return f"fake driver: {self.name}" if "FAKE" in self.name else ""

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return what a function of NVML says about this GPU, such as `nvmlDeviceGetPowerUsage`.

        A driver or GPU that is away is looked for again by a later call: after a second, then less and less
        often, down to every 32 seconds.

        Raises:
            Refused: It has no answer.
        """
        if self._away is not None and self._clock.now_ns() < self._retry_ns:
            raise Refused(str(self._away), self._away.code)
        try:
            answer = call(getattr(_nvml(), function), self._found(), *arguments)
        except Refused as error:
            if error.code in _AWAY:
                self._lose(error)
            raise
        self._away, self._wait_ns = None, _FIRST_RETRY_NS
        return answer

    def _found(self) -> Any:
        self._driver.start()
        if self._handle_start != self._driver.starts:
            self._handle = call(_nvml().nvmlDeviceGetHandleByUUID, self.uuid)
            self._handle_start = self._driver.starts
        return self._handle

    def _lose(self, error: Refused) -> None:
        self._driver.stop()
        self._away = error
        self._retry_ns = self._clock.now_ns() + self._wait_ns
        self._wait_ns = min(2 * self._wait_ns, _LAST_RETRY_NS)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of nvidia-ml-py.

    Raises:
        Refused: Instead of its NVMLError, whose class is known only once the library is imported.
    """
    try:
        return function(*arguments)
    except _nvml().NVMLError as error:
        name = getattr(function, "__name__", "NVML")
        raise Refused(f"the NVIDIA driver answers {name} with: {error}", int(error.value)) from error


def _nvml() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise MissingExtra("pynvml", "energy") from error
    return pynvml
