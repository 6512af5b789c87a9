# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The shared memory of Fast DDS: a segment that images fit into, and the removal of those that nobody owns.

A participant keeps its messages in a segment `fastrtps_<16 hex digits>` (`fastdds_` in newer releases) and
listens on ports `fastrtps_port<number>`. Beside each of them lies a lock file of the same name that ends in
`_el` (one owner) or `_sl` (shared), on which the owner holds flock(2) as long as it lives. The kernel takes
the lock away when the process ends, however it ends and in whichever container it ran; so a lock file that we
can lock belongs to nobody. A process number would tell less, because it may have been given anew.

A process that was killed leaves its segment behind, 67 MB with config/fastdds_shm.xml. Ports without a lock
file are left alone: they are what a clean end leaves, 52 kB each, and the next participant takes them over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes import resources

# Fast DDS of Jazzy reads the first name, of Kilted the second.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_CHOSEN_BY_USER = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")

FOLDER = Path("/dev/shm")  # noqa: S108

_LOCK = re.compile(r"((?:fastrtps|fastdds)_(?:[0-9a-f]{16}|port\d{1,5}))_(?:el|sl)\Z")

# Fast DDS makes a lock file and then locks it; in between it looks like nobody's.
_YOUNG_S = 2.0


@dataclass(frozen=True)
class Reaped:
    """What was removed.

    Attributes:
        segments: How many segments and ports of dead processes.
        size: The memory that they took, bytes.
    """

    segments: int
    size: int


def profile_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give Fast DDS our profile; none where the environment has a choice."""
    if any(environment.get(name) for name in _CHOSEN_BY_USER):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(resources.path("config", "fastdds_shm.xml")))


def reap(folder: Path = FOLDER) -> Reaped:
    """Remove the segments and ports of processes that have ended.

    Files of other users, of living processes, and those younger than two seconds are left alone.
    """
    segments = size = 0
    for lock_file in _lock_files(folder):
        with _owned_by_nobody(lock_file) as dead:
            if dead:
                segments += 1
                size += _remove(folder, lock_file)
    return Reaped(segments, size)


def _lock_files(folder: Path) -> list[Path]:
    try:
        return [path for path in sorted(folder.iterdir()) if _LOCK.match(path.name)]
    except OSError:  # no shared memory here
        return []


@contextlib.contextmanager
def _owned_by_nobody(lock_file: Path) -> Iterator[bool]:
    """Tell whether the owner of a lock file is dead, and keep others from becoming it meanwhile."""
    try:
        descriptor = os.open(lock_file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # gone, or another user's
        yield False
        return
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or time.time() - status.st_ctime < _YOUNG_S:
            yield False
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unchanged = lock_file.stat().st_ino == status.st_ino
        except OSError:
            yield False
            return
        yield unchanged
    finally:
        os.close(descriptor)


def _remove(folder: Path, lock_file: Path) -> int:
    """Remove a segment or port, its mutex and then its lock file; return the size."""
    match = _LOCK.match(lock_file.name)
    assert match is not None
    name = match.group(1)
    size = 0
    for path in (folder / name, folder / f"sem.{name}_mutex", lock_file):
        with contextlib.suppress(OSError):
            size += path.stat().st_size
            path.unlink()
    return size
