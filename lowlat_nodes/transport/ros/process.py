# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a process sets before its first node: the allocator and the shared memory of Fast DDS."""

from __future__ import annotations

import ctypes
import os

from lowlat_nodes import resources

# Fast DDS of Jazzy reads the first name, of Kilted the second.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_CHOSEN_BY_USER = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")

# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def prepare_process() -> None:
    """Prepare this process for large messages; call it before `rclpy.init`.

    The allocator keeps the memory of one image for the next instead of asking the kernel for fresh pages
    each time, and Fast DDS gets a shared-memory segment that images fit into: with its own 512 kB it loses
    about half of all best-effort VGA frames. A profile or a choice of transports already in the environment
    is left alone. Where the C library is not glibc, the allocator stays as it is.
    """
    keep_freed_memory()
    if not any(os.environ.get(name) for name in _CHOSEN_BY_USER):
        profile = str(resources.path("config", "fastdds_shm.xml"))
        for name in PROFILE_VARIABLES:
            os.environ[name] = profile


def keep_freed_memory() -> None:
    """Let malloc serve image-sized blocks from memory that was touched before (mallopt(3))."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    mallopt(_M_TOP_PAD, 32 << 20)
