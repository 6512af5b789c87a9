# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The shared memory of Fast DDS: a segment that images fit into, and the removal of those that nobody owns.

A participant keeps its messages in a segment `fastrtps_<16 hex digits>` (`fastdds_` in newer releases) and
listens on ports `fastrtps_port<number>`. Beside each of them lies a lock file of the same name that ends in
`_el` (one owner) or `_sl` (shared), on which the owner holds flock(2) as long as it lives; so a lock file
that we can lock belongs to nobody.

A process that was killed leaves its segment behind, 67 MB with config/fastdds_shm.xml. Ports without a lock
file are left alone: they are what a clean end leaves, 52 kB each, and the next participant takes them over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Mapping
from pathlib import Path

from lowlat_nodes import resources
from lowlat_nodes.transport.abandoned import FOLDER, Reaped, files_in, owned_by_nobody
from lowlat_nodes.transport.middleware import is_fast_dds

# Fast DDS of Jazzy reads the first name, of Kilted the second.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_CHOSEN_BY_USER = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")

_LOCK = re.compile(r"((?:fastrtps|fastdds)_(?:[0-9a-f]{16}|port\d{1,5}))_(?:el|sl)\Z")

# Seven processes with a segment of fastdds_shm.xml.
_SMALL_BYTES = 512 << 20

# Fast DDS makes a lock file and then locks it; in between it looks like nobody's.
_YOUNG_S = 2.0


def profile_environment(environment: Mapping[str, str], folder: Path = FOLDER) -> dict[str, str]:
    """Return the variables that give Fast DDS our profile.

    Returns:
        None where the environment has a choice, or another middleware. The profile for a small /dev/shm where
        a few segments of the other would fill it.
    """
    if any(environment.get(name) for name in _CHOSEN_BY_USER) or not is_fast_dds(environment):
        return {}
    name = "fastdds_shm_small.xml" if is_small(folder) else "fastdds_shm.xml"
    return dict.fromkeys(PROFILE_VARIABLES, str(resources.path("config", name)))


def is_small(folder: Path = FOLDER) -> bool:
    """Return whether /dev/shm is too small for the segments that hold ten images, as in most containers."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False  # Fast DDS does without
    return found.f_blocks * found.f_frsize < _SMALL_BYTES


def remark(environment: Mapping[str, str], folder: Path = FOLDER) -> str:
    """Return what to say about a small /dev/shm before the profile is set; empty if it is large enough."""
    if not (profile_environment(environment, folder) and is_small(folder)):
        return ""
    return (
        f"{folder} has less than {_SMALL_BYTES >> 20} MB: Fast DDS gets segments of 8 MB, and images above"
        " 1 MB may be lost; give a container --ipc=host or --shm-size=1g"
    )


def stale(folder: Path = FOLDER) -> list[Path]:
    """Return the files that `reap` would remove, locks and mutexes aside."""
    found = []
    for lock_file in files_in(folder, _LOCK.match):
        with owned_by_nobody(lock_file, _lock, _YOUNG_S) as dead:
            if dead:
                found.append(folder / _name(lock_file))
    return found


def reap(folder: Path = FOLDER) -> Reaped:
    """Remove the segments and ports of processes that have ended.

    Files of other users, of living processes, and those younger than two seconds are left alone.
    """
    segments = size = 0
    for lock_file in files_in(folder, _LOCK.match):
        with owned_by_nobody(lock_file, _lock, _YOUNG_S) as dead:
            if dead:
                segments += 1
                size += _remove(folder, lock_file)
    return Reaped(segments, size)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(folder: Path, lock_file: Path) -> int:
    """Remove a segment or port, its mutex and then its lock file; return the size."""
    name = _name(lock_file)
    size = 0
    for path in (folder / name, folder / f"sem.{name}_mutex", lock_file):
        with contextlib.suppress(OSError):
            size += path.stat().st_size
            path.unlink()
    return size


def _name(lock_file: Path) -> str:
    match = _LOCK.match(lock_file.name)
    assert match is not None
    return match.group(1)
