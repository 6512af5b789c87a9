# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What processes have counted for the energy sampler, as that would see it."""

from __future__ import annotations

from pathlib import Path

from lowlat_nodes.energy.tally_reader import Page, TallyReader


def pages(folder: Path) -> list[Page]:
    """Return the pages of an energy folder, without removing any."""
    reader = TallyReader(folder)
    reader.scan()
    try:
        return reader.read()
    finally:
        reader.close()


def counted(folder: Path, node: str) -> dict[str, tuple[int, int]]:
    """Return how many results a node has started and finished, by bucket, over all of its processes."""
    found: dict[str, tuple[int, int]] = {}
    for page in pages(folder):
        for bucket, counts in page.counts.items() if page.node == node else ():
            started, finished = found.get(bucket, (0, 0))
            found[bucket] = started + counts.started, finished + counts.finished
    return found
