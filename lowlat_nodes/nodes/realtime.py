# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What Linux offers a thread that must not be late, and what of it was granted."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError

_TIMER_ABSTIME = 1  # <time.h>
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # <sys/mman.h>


@dataclass(frozen=True)
class RealtimeConfig:
    """How the processes of a control node ask the kernel for attention."""

    priority: int = setting(
        40, doc="SCHED_FIFO priority of the tick; 0 stays with the normal scheduler.", low=0, high=99
    )
    cpus: tuple[int, ...] = setting((), doc="Cores for all threads of the tick process; empty for any.")
    standby: bool = setting(
        True, doc="Whether a second thread, on another core, serves a tick that the first one sleeps through."
    )
    lock_memory: bool = setting(True, doc="Keep the tick process in memory (mlockall), if allowed.")
    worker_nice: int = setting(
        -5, doc="Niceness of the inference process, if allowed; below 0 goes before others.", low=-20, high=19
    )


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


_libc = ctypes.CDLL(None, use_errno=True)


def sleep_until(deadline_ns: int) -> None:
    """Sleep to an absolute time of CLOCK_MONOTONIC (clock_nanosleep(2))."""
    deadline = ctypes.byref(_TimeSpec(*divmod(deadline_ns, 1_000_000_000)))
    while _libc.clock_nanosleep(time.CLOCK_MONOTONIC, _TIMER_ABSTIME, deadline, None):
        pass


def current_core() -> int:
    """Return the core that the calling thread runs on."""
    core: int = _libc.sched_getcpu()
    return core


def _each_thread(ask: Callable[[int], object]) -> None:
    """Ask the kernel for something for each thread of this process."""
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            ask(int(thread.name))


def request_fifo(priority: int, *, others: int) -> str:
    """Ask for SCHED_FIFO for all threads of this process; those that they make later inherit it.

    Args:
        priority: Of the calling thread; 0 stays with the normal scheduler.
        others: Of all other threads.

    Returns:
        What was granted, for people: `SCHED_FIFO 40`, or `SCHED_OTHER (FIFO refused: ...)`.
    """
    if not priority:
        return "SCHED_OTHER"
    caller = threading.get_native_id()

    def ask(thread: int) -> None:
        wanted = priority if thread == caller else others
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(wanted))

    try:
        _each_thread(ask)
    except OSError as error:
        return f"SCHED_OTHER (FIFO refused: {error.strerror}; see limits.conf(5), rtprio)"
    return f"SCHED_FIFO {priority}"


def _bind(cpus: Sequence[int]) -> None:
    allowed = os.sched_getaffinity(0)
    if not allowed.issuperset(cpus):
        raise ConfigurationError(f"realtime.cpus: expected cores out of {sorted(allowed)}, got {list(cpus)}")
    _each_thread(lambda thread: os.sched_setaffinity(thread, cpus))


def set_nice(nice: int) -> None:
    """Set the niceness of this process, if allowed; call it before there are threads, which inherit it."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def apply(config: RealtimeConfig) -> str:
    """Ask for what is configured, for this process and the calling thread, and freeze the garbage collector.

    Threads made later inherit the priority: call this when all others exist.

    Returns:
        What was granted, as from `request_fifo`.

    Raises:
        ConfigurationError: If a core is not there or not for this process.
    """
    if config.cpus:
        _bind(config.cpus)
    # Publishing takes locks that the middleware's threads hold now and then, to greet a new participant
    # for instance. Left to the normal scheduler, such a thread waits for a core while the tick waits for it.
    granted = request_fifo(config.priority, others=max(1, config.priority - 1))
    # What is touched stays; the many pages that never are (stacks, pools) need no memory.
    if config.lock_memory and _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        granted += ", memory not locked"
    # A full collection takes 30 to 100 ms with the heap of a ROS process; what lives now lives to the end.
    gc.collect()
    gc.freeze()
    gc.disable()
    return granted
