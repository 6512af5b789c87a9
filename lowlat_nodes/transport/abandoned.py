# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Files in shared memory whose owner has died, told by the lock that it held as long as it lived.

The kernel takes a lock away when its process ends, however it ends and in whichever container it ran. A
process number would tell less, because it may have been given anew.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True)
class Reaped:
    """What was removed.

    Attributes:
        segments: How many segments and ports of dead processes.
        size: The memory that they took, bytes.
    """

    segments: int
    size: int

    def __add__(self, other: Reaped) -> Reaped:
        return Reaped(self.segments + other.segments, self.size + other.size)


@contextlib.contextmanager
def owned_by_nobody(file: Path, lock: Callable[[int], bool], young_s: float = 0.0) -> Iterator[bool]:
    """Tell whether the owner of a file is dead, and keep others from becoming it meanwhile.

    Args:
        file: Where the owner holds its lock.
        lock: Tries to take that lock through a descriptor for reading, without waiting; tells if it could.
        young_s: Files younger than this are taken to have an owner, which has not locked them yet.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone, or another user's
        yield False
        return
    try:
        status = os.fstat(descriptor)
        own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        if not own or time.time() - status.st_ctime < young_s:
            yield False
            return
        try:
            dead = lock(descriptor) and file.stat().st_ino == status.st_ino
        except OSError:
            yield False
            return
        yield dead
    finally:
        os.close(descriptor)


def files_in(folder: Path, known: Callable[[str], object]) -> list[Path]:
    """Return the files of a folder whose names are known, in order; none where there is no such folder."""
    try:
        return [path for path in sorted(folder.iterdir()) if known(path.name)]
    except OSError:
        return []
