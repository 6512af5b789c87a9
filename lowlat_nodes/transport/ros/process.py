# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a process sets before its first node: the allocator and the shared memory of Fast DDS."""

from __future__ import annotations

import ctypes
import os

from lowlat_nodes.transport.segments import profile_environment

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
    os.environ.update(profile_environment(os.environ))


def keep_freed_memory() -> None:
    """Let malloc serve image-sized blocks from memory that was touched before (mallopt(3))."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    mallopt(_M_TOP_PAD, 32 << 20)


def prepare_control_process() -> None:
    """Prepare this process for small messages that must not wait; call it before `rclpy.init`.

    It gets UDP only. A publisher that finds a new subscriber in shared memory checks its port first, which
    can take 333 ms of the `publish` that comes next (eProsima/Fast-DDS#6535), and each message takes a mutex
    that a thread of the subscriber may hold while it waits for a core. Over the loopback a message of some
    hundred bytes takes no longer. A profile or a choice of transports already in the environment is left
    alone, except ours.
    """
    keep_freed_memory()
    for name, ours in profile_environment({}).items():
        if os.environ.get(name) == ours:
            del os.environ[name]
    if profile_environment(os.environ):  # nothing was chosen
        os.environ["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"
