# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""All shared memory that processes of ours leave behind when they are killed."""

from __future__ import annotations

from pathlib import Path

from lowlat_nodes.transport import segments
from lowlat_nodes.transport.abandoned import FOLDER, Reaped
from lowlat_nodes.transport.shm import stale


def reap(folder: Path = FOLDER) -> Reaped:
    """Remove what dead processes left, of Fast DDS and of our own streams.

    Files of other users and of living processes are left alone.
    """
    return segments.reap(folder) + stale.reap(folder)
