# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Meters of this host, and of one that is made up of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Doctor = Callable[..., Any]


def test_this_machine(doctor: Doctor) -> None:
    found = doctor("energy", {"LOWLAT_SYSFS_ROOT": ""}, code=0)
    measured = [row for row in found.values() if row["figures"].get("kind") == "measured"]
    assert bool(measured) != ("meters" in found)


def test_a_host_without_meters(doctor: Doctor, tmp_path: Path) -> None:
    found = doctor("energy", {"LOWLAT_SYSFS_ROOT": str(tmp_path)}, code=0)
    assert "Nothing measures energy here" in found["meters"]["found"]
    assert found["meters"]["mend"] == ["lowlat energy meters"]


def test_a_made_up_counter_says_so(doctor: Doctor, tmp_path: Path) -> None:
    zone = tmp_path / "class" / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (
        ("name", "package-0"),
        ("energy_uj", "1000000"),
        ("max_energy_range_uj", "262143328850"),
    ):
        (zone / name).write_text(text + "\n")
    found = doctor("energy", {"LOWLAT_SYSFS_ROOT": str(tmp_path)}, code=0)
    assert found["rapl/package-0"]["found"].startswith("FAKE: ")
