# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who shares memory with us, and since when we run."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lowlat_nodes.stream.process_id import ProcessId
from lowlat_nodes.transport.abandoned import FOLDER


def host_token(folder: Path = FOLDER) -> str:
    """Return 16 hexadecimal digits that two processes have in common if they see the same shared memory.

    They tell this host, its current boot and the mount of /dev/shm apart: two containers have the same token
    only if they share that mount. It is a hash, from which neither can be recovered. Empty where there is no
    shared memory.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
        mount = folder.stat().st_dev
    except OSError:
        return ""
    return hashlib.sha256(b"lowlat_nodes %s %d" % (boot, mount)).hexdigest()[:16]


def started_ticks() -> int:
    """Return when this process started, in clock ticks since the host did; 0 where nothing tells."""
    process = ProcessId.of(os.getpid())
    return process.start if process else 0
