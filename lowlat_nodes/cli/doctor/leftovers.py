# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared memory that killed processes left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, warning
from lowlat_nodes.transport import segments
from lowlat_nodes.transport.abandoned import FOLDER
from lowlat_nodes.transport.shm import stale

_MUCH = 64 << 20


def check(examination: Examination) -> Iterator[Finding]:
    """Count the files of Fast DDS and of ours that nobody owns."""
    del examination
    for whose, paths in (("Fast DDS", segments.stale(FOLDER)), ("our streams", stale.stale(FOLDER))):
        yield judge(whose, len(paths), sum(map(_size, paths)))


def judge(whose: str, count: int, size: int) -> Finding:
    """Return what some abandoned segments mean; size in bytes."""
    if not count:
        return ok(whose, "No process of this user left shared memory behind.", segments=0, bytes=0)
    say = warning if size >= _MUCH else note
    found = f"Processes that were killed left {count} segments with {size / 1e6:.1f} MB in /dev/shm."
    return say(whose, found, "lowlat reap", segments=count, bytes=size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # somebody else removed it
        return 0
