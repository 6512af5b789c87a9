# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""CPU time of processes and of the host, in nanoseconds.

/proc/PID/stat counts ticks of 10 ms and /proc/PID/schedstat the first thread alone; the CPU clock of a
process (clock_getcpuclockid(3), whose number Linux makes of the process id) counts all threads, those that
have ended too, in nanoseconds, and may be read by any user.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from lowlat_nodes.stream.process_id import ProcessId

_SCHED = 2  # the kernel's CPUCLOCK_SCHED: time on a CPU; the bits above are the inverted process id
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq of /proc/stat; not idle, iowait, steal


class ProcessEnded(Exception):
    """There is no such process, or no longer."""


class ProcessClock:
    """The CPU time of one process, which is never taken for that of a later process of the same number.

    Args:
        process: Whose.

    Attributes:
        uid: The user that it runs as.

    Raises:
        ProcessEnded: If it has ended, or another process has its number.
    """

    def __init__(self, process: ProcessId) -> None:
        self._clock = (~process.pid << 3) | _SCHED
        try:
            # An open file of /proc stays with its process: it cannot be read once that has ended.
            self._file = os.open(f"/proc/{process.pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ProcessEnded from error
        self.uid = _uid(process.pid)
        if self.uid < 0 or ProcessId.of(process.pid) != process or not self._lives():
            self.close()
            raise ProcessEnded

    def read_ns(self) -> int:
        """Return what all its threads have used.

        Raises:
            ProcessEnded: If it has.
        """
        try:
            used_ns = time.clock_gettime_ns(self._clock)
        except OSError as error:
            raise ProcessEnded from error
        if not self._lives():  # so the clock may have been that of another process
            raise ProcessEnded
        return used_ns

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _lives(self) -> bool:
        try:
            os.pread(self._file, 1, 0)
        except OSError:
            return False
        return True


class ProcessTimes:
    """The CPU time of several processes that come and go, each from when it was first seen.

    Attributes:
        used_ns: By process, that of those which `follow` had last.
    """

    def __init__(self) -> None:
        self.used_ns: dict[ProcessId, int] = {}
        self._clocks: dict[ProcessId, ProcessClock | None] = {}  # None: has ended
        self._first_ns: dict[ProcessId, int] = {}

    def follow(self, wanted: dict[ProcessId, int]) -> None:
        """Read these processes from now on, and no others.

        Args:
            wanted: The user that each must run as: nobody is charged for processes of somebody else.
        """
        for process in self._clocks.keys() - wanted.keys():
            self._let_go(process)
            del self._clocks[process]
            del self.used_ns[process], self._first_ns[process]
        for process in wanted.keys() - self._clocks.keys():
            self._clocks[process] = None
            self.used_ns[process] = self._first_ns[process] = 0
            with contextlib.suppress(ProcessEnded):
                clock = ProcessClock(process)
                if wanted[process] not in {0, clock.uid}:
                    clock.close()
                    continue
                self._clocks[process] = clock
                self._first_ns[process] = clock.read_ns()

    def read(self) -> None:
        """Take the present times; that of a process which has ended stays as it was."""
        for process, clock in self._clocks.items():
            if clock is not None:
                try:
                    self.used_ns[process] = clock.read_ns() - self._first_ns[process]
                except ProcessEnded:
                    self._let_go(process)

    def living(self) -> set[ProcessId]:
        """Return those which had not ended when they were last read."""
        return {process for process, clock in self._clocks.items() if clock is not None}

    def close(self) -> None:
        """Follow nothing."""
        self.follow({})

    def _let_go(self, process: ProcessId) -> None:
        clock = self._clocks[process]
        if clock is not None:
            clock.close()
            self._clocks[process] = None


class HostTime:
    """How long the CPUs of this host have been at work, all together, in steps of 10 ms of one.

    Time in which a virtual machine was not let run, and in which a CPU waited for disks, is no work.
    """

    def __init__(self) -> None:
        self._file = -1

    def busy_ns(self) -> int | None:
        """Return the time since the start of the host; None where the kernel does not say."""
        try:
            if self._file < 0:
                self._file = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
            fields = os.pread(self._file, 256, 0).partition(b"\n")[0].split()[1:]
            return sum(int(fields[index]) for index in _BUSY) * _TICK_NS
        except (OSError, IndexError, ValueError):
            return None

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _uid(pid: int) -> int:
    """Return the real user of a process, -1 where it cannot be told.

    The owner of its files in /proc may be root instead.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
        return int(status.partition(b"\nUid:")[2].split(maxsplit=1)[0])
    except (OSError, IndexError, ValueError):
        return -1
