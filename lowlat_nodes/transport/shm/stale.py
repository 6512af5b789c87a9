# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Segments whose writer has died without removing them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes.transport.abandoned import FOLDER, Reaped, files_in, owned_by_nobody
from lowlat_nodes.transport.shm.layout import ALIVE, is_segment_name


def stale(folder: Path = FOLDER) -> list[Path]:
    """Return the segments of this user that nobody writes any more."""
    return [path for path, dead in _segments(folder) if dead]


def reap(folder: Path = FOLDER) -> Reaped:
    """Remove the segments of this user that nobody writes any more; readers keep what they have leased."""
    segments = size = 0
    for path, dead in _segments(folder):
        if not dead:
            continue
        try:
            bytes_freed = path.stat().st_size
            path.unlink()
        except OSError:  # somebody else was first
            continue
        segments += 1
        size += bytes_freed
    return Reaped(segments, size)


def _segments(folder: Path) -> Iterator[tuple[Path, bool]]:
    for path in files_in(folder, is_segment_name):
        with owned_by_nobody(path, ALIVE.share) as dead:
            yield path, dead
