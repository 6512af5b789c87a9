# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which process is meant, when process numbers are used again."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, which no later one of the same number is taken for.

    Attributes:
        pid: Its number.
        start: When it began, in ticks since boot: field 22 of /proc/PID/stat.
    """

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Return the process that has a number now; None where there is none to see."""
        try:
            descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # The name in brackets may itself hold brackets and spaces; fields are counted from its end.
            fields = os.pread(descriptor, 1024, 0).rpartition(b")")[2].split()
            return cls(pid, int(fields[19]))
        except (OSError, IndexError, ValueError):
            return None
        finally:
            os.close(descriptor)
