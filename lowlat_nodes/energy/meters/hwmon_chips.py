# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The chips that the kernel's hardware monitoring knows, as class/hwmon of sysfs lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.energy.meters.sysfs import word

UNKNOWN = (
    "nobody says what it measures; if you know, say whose work moves it (cpu, memory, gpu0, other, or board "
    "for a sensor of everything), here and to the sampler:\n"
    "    --sensor {}=board"
)
"""Why a sensor is not read, and the remedy."""

_MOST = 256


@dataclass(frozen=True)
class Chip:
    """One chip.

    Attributes:
        folder: Holds its sensors.
        driver: What its file `name` says, such as `ina3221` or `amdgpu`.
        place: What tells it from others of its kind: its address, such as `1-0040` or `0000:03:00.0`.
    """

    folder: Path
    driver: str
    place: str

    def sensors(self, kind: str) -> dict[str, Path]:
        """Return the files `KIND<number>_average`, else `_input`, by number, in order."""
        found: dict[str, Path] = {}
        for quantity in ("input", "average"):  # an average misses nothing between two readings
            pattern = re.compile(rf"{kind}([0-9]{{1,3}})_{quantity}\Z")
            for path in self.folder.glob(f"{kind}*_{quantity}"):
                if match := pattern.match(path.name):
                    found[match[1]] = path
        return dict(sorted(found.items(), key=lambda item: int(item[0])))

    def label(self, *names: str) -> str:
        """Return the first of these files that has a word in it."""
        return next(filter(None, (word(self.folder / name) for name in names)), "")


def chips(root: Path) -> list[Chip]:
    """Return the chips below a root of sysfs, in the order of their numbers."""
    found = []
    for folder in (root / "class" / "hwmon").glob("hwmon*"):
        number = folder.name.removeprefix("hwmon")
        device = (folder / "device").resolve()
        if (
            number.isdecimal() and "power_supply" not in device.parts
        ):  # a battery tells its charger's side too
            place = device.name if (folder / "device").exists() else folder.name
            found.append((int(number), Chip(folder, word(folder / "name"), place)))
    return [chip for _, chip in sorted(found, key=lambda item: item[0])[:_MOST]]
