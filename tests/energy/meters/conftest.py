# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Fake trees of sysfs, with the files and the units of the kernel's drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.stream.clock import ManualClock

RANGE_UJ = 262_143_328_850
"""As of most processors of Intel: 2**32 - 1 steps of 61 microjoules."""


class FakeSysfs:
    """Files below a folder; a driver that goes leaves an empty file, where the kernel's says ENODEV."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: object) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="ascii")

    def empty(self, path: str) -> None:
        (self.root / path).write_bytes(b"")

    def zone(self, zone: str, name: str, energy_uj: int = 1000, range_uj: int = RANGE_UJ) -> None:
        """Add a zone of powercap: really in devices/, with a link from class/, as the kernel has it."""
        parts = zone.split(":")
        folders = [":".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        real = f"devices/virtual/powercap/{'/'.join(folders)}"
        self.write(f"{real}/name", name)
        self.write(f"{real}/energy_uj", energy_uj)
        self.write(f"{real}/max_energy_range_uj", range_uj)
        link = self.root / "class/powercap" / zone
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.root / real)

    def energy(self, zone: str, energy_uj: int) -> None:
        self.write(f"class/powercap/{zone}/energy_uj", energy_uj)


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    return FakeSysfs(tmp_path / "sys")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000_000)
