# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Fake trees of sysfs, with the files and the units of the kernel's drivers."""

from __future__ import annotations

import os
from pathlib import Path

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

    def deny(self, path: str) -> None:
        """Let only root read a file; its owner may not, if that is not root."""
        (self.root / path).chmod(0o400 if os.getuid() == 0 else 0o000)

    def energy(self, zone: str, energy_uj: int) -> None:
        self.write(f"class/powercap/{zone}/energy_uj", energy_uj)

    def chip(self, number: int, driver: str, place: str, files: dict[str, object]) -> str:
        """Add a chip of class/hwmon, really below its device; return the folder to write to."""
        device = f"devices/platform/bus/{place}"
        real = f"{device}/hwmon/hwmon{number}"
        for name, value in {"name": driver, **files}.items():
            self.write(f"{real}/{name}", value)
        (self.root / real / "device").symlink_to(self.root / device)
        link = self.root / f"class/hwmon/hwmon{number}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.root / real)
        return real

    def ina3221(self, number: int, place: str, rails: dict[int, tuple[str, int, int]]) -> str:
        """Add an INA3221 with rails by channel: label (none if empty), millivolts, milliamperes.

        It has the sums that the driver adds to its channels, which are no rails.
        """
        files: dict[str, object] = {
            "in7_label": "sum of shunt voltages",
            "in7_input": 760,
            "curr4_input": sum(milliamperes for _, _, milliamperes in rails.values()),
            "update_interval": 9,
        }
        for channel, (label, millivolts, milliamperes) in rails.items():
            files |= {f"in{channel}_label": label} if label else {}
            files |= {
                f"in{channel}_enable": 1,
                f"in{channel}_input": millivolts,
                f"in{channel + 3}_input": milliamperes * 2,
                f"curr{channel}_input": milliamperes,
                f"shunt{channel}_resistor": 2000,
            }
        return self.chip(number, "ina3221", place, files)

    def agx_orin(self) -> None:
        """Jetson AGX Orin: no rail of everything, and one that another includes."""
        self.ina3221(
            3,
            "1-0040",
            {
                1: ("VDD_GPU_SOC", 20_000, 300),  # 6 W
                2: ("VDD_CPU_CV", 20_000, 100),  # 2 W
                3: ("VIN_SYS_5V0", 5_000, 800),  # 4 W
            },
        )
        self.ina3221(4, "1-0041", {1: ("NC", 0, 0), 2: ("VDDQ_VDD2_1V8AO", 5_000, 200), 3: ("NC", 0, 0)})

    def orin_nx(self) -> None:
        """Jetson Orin NX, and Nano, which has the same rails."""
        self.ina3221(
            1,
            "1-0040",
            {
                1: ("VDD_IN", 5_000, 2_000),  # 10 W
                2: ("VDD_CPU_GPU_CV", 5_000, 1_000),
                3: ("VDD_SOC", 5_000, 400),
            },
        )

    def agx_thor(self) -> None:
        """Jetson AGX Thor: an INA238 before everything, whose label is that of the whole chip."""
        self.ina3221(
            2,
            "1-0040",
            {
                1: ("VDD_GPU", 20_000, -20),  # idle: an offset below 0
                2: ("VDD_CPU_SOC_MSS", 20_000, 325),  # 6.5 W
                3: ("VIN_SYS_5V0", 5_000, 1_300),  # 6.5 W
            },
        )
        files = {"label": "VIN", "in1_input": 20_000, "curr1_input": 1_150, "power1_input": 23_000_000}
        self.chip(3, "ina238", "2-0044", files)
