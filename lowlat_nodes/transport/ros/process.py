# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a process sets before its first node: the allocator, and the shared memory and the log of Fast DDS."""

from __future__ import annotations

import ctypes
import io
import os
import sys

from lowlat_nodes import resources
from lowlat_nodes.transport.segments import PROFILE_VARIABLES, profile_environment, remark

# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def prepare_process() -> None:
    """Prepare this process for large messages; call it before `rclpy.init`.

    The allocator keeps the memory of one image for the next instead of asking the kernel for fresh pages
    each time, and Fast DDS gets a shared-memory segment that images fit into: with its own 512 kB it loses
    about half of all best-effort VGA frames. A profile or a choice of transports already in the environment
    is left alone, and so is another middleware. Where the C library is not glibc, the allocator stays as it
    is.
    """
    keep_output_clean()
    keep_freed_memory()
    if said := remark(os.environ):
        print(said, file=sys.stderr)
    os.environ.update(profile_environment(os.environ))


def keep_output_clean() -> None:
    """Leave standard output to `sys.stdout`, so that what Fast DDS logs there goes to standard error.

    It complains on standard output, now and then, when two processes open a port of shared memory at once; a
    reader of our JSON must not have to know.
    """
    if sys.stdout is None or sys.stdout is not sys.__stdout__ or sys.stdout.fileno() != 1:
        return  # it was done, or somebody else has the output in hand
    former = sys.stdout
    former.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    # As buffered as before: an unbuffered one (PYTHONUNBUFFERED) is followed by whoever started this process.
    sys.stdout = io.TextIOWrapper(
        open(ours, "wb", buffering=0 if former.write_through else -1, closefd=False),  # noqa: SIM115
        encoding=former.encoding,
        errors=former.errors,
        line_buffering=former.line_buffering,
        write_through=former.write_through,
    )


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

    Fast DDS gets UDP and no shared memory. A publisher that meets a new subscriber in shared memory checks
    its port first, which can take 333 ms of the next `publish` (eProsima/Fast-DDS#6535), and each message
    takes a mutex that a thread of the subscriber may hold while it waits for a core. Over the loopback some
    hundred bytes take no longer. A profile or a choice of transports already in the environment is left
    alone, except ours for large messages.
    """
    keep_output_clean()
    keep_freed_memory()
    environment = os.environ
    for name, ours in profile_environment({}).items():
        if environment.get(name) == ours:
            del environment[name]
    if not profile_environment(environment):  # something was chosen
        return
    profile = "fastdds_udp.xml"
    if environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() == "LOCALHOST":
        if environment.get("ROS_STATIC_PEERS"):
            return  # they would be forgotten
        profile = "fastdds_udp_localhost.xml"
        environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"
    for name in PROFILE_VARIABLES:
        environment[name] = str(resources.path("config", profile))
