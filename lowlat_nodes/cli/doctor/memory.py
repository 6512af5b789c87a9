# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Room in shared memory, for Fast DDS and for our own streams."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes import resources
from lowlat_nodes.cli.doctor.container import in_container
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, ok, problem, warning
from lowlat_nodes.transport.abandoned import FOLDER

_ABOUT = str(FOLDER)
_MB = 1e6
_IMAGE = 1920 * 1080 * 3
_SLOTS = 8  # of a topic of ours, at most
_COMFORTABLE = 512 << 20
_SIZE = re.compile(r"<segment_size>(\d+)</segment_size>")


def check(examination: Examination) -> Iterator[Finding]:
    """Look at the file system of /dev/shm."""
    del examination
    if not FOLDER.is_dir():
        yield problem(
            _ABOUT,
            "There is none, so neither Fast DDS nor our streams can use shared memory.",
            "sudo mkdir -p /dev/shm && sudo mount -t tmpfs -o size=1g,mode=1777 tmpfs /dev/shm",
        )
        return
    if not os.access(FOLDER, os.W_OK | os.X_OK):
        yield problem(_ABOUT, "This user may not write it.", "sudo chmod 1777 /dev/shm")
        return
    status = os.statvfs(FOLDER)
    yield judge(
        status.f_blocks * status.f_frsize,
        status.f_bavail * status.f_frsize,
        segment_size(resources.path("config", "fastdds_shm.xml")),
        container=in_container(),
    )


def segment_size(profile: Path) -> int:
    """Return how much shared memory a profile gives each publishing process, bytes.

    Raises:
        ValueError: If the profile does not say.
    """
    found = _SIZE.search(profile.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{profile} gives no segment_size")
    return int(found.group(1))


def judge(total: int, free: int, segment: int, *, container: bool) -> Finding:
    """Return what a size means.

    Args:
        total: Size of /dev/shm, bytes.
        free: What is free of it.
        segment: What Fast DDS takes for each publishing process with our profile.
        container: Whether this is a container, whose size was given when it was started.
    """
    figures = {"total_bytes": total, "free_bytes": free, "segment_bytes": segment}
    if container:
        larger = "docker run --shm-size=1g ...    # in compose shm_size: 1g; with --ipc=host that of the host"
    else:
        larger = "sudo mount -o remount,size=1g /dev/shm"
    need = (
        f"a publishing process takes up to {segment / _MB:.0f} MB with our Fast DDS profile, a topic "
        "of 1080p images "
        f"over ZeroMQ up to {_SLOTS * _IMAGE / _MB:.0f} MB"
    )
    size = f"{total / _MB:.0f} MB, of which {free / _MB:.0f} MB are free"
    if total < 2 * segment:
        return problem(
            _ABOUT,
            f"{size}; {need}. A process that finds no room is killed by SIGBUS, or loses its images.",
            larger,
            **figures,
        )
    if free < segment:
        return problem(
            _ABOUT,
            f"It is full: {size}; {need}.",
            "lowlat reap; du -ah /dev/shm | sort -h | tail",
            larger,
            **figures,
        )
    if free < _COMFORTABLE:
        return warning(
            _ABOUT,
            f"{size}: room for {free // segment} publishing processes; {need}.",
            larger,
            **figures,
        )
    return ok(_ABOUT, f"{size}; {need}.", **figures)
