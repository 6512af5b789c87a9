# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A driver without a GPU: `fake_nvml.c`, built and loaded, and told what to say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")


def build(folder: Path) -> Path:
    """Compile the fake libnvidia-ml.so.1 into a folder and return its path."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        pytest.skip("no C compiler to build the fake driver with")
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{library.name}"]
    subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True)
    return library


class FakeDriver:
    """What the fake says, changed while somebody listens.

    Args:
        path: The file that it reads, which FAKE_NVML must name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers: dict[str, int] = {}
        self._samples: list[str] = []
        self.say(energy0=1_000_000, step0=10)

    def say(self, **numbers: int | None) -> None:
        """Change numbers, such as `energy0=5000`; None for one that is no longer supported."""
        for name, value in numbers.items():
            self._numbers.pop(name, None)
            if value is not None:
                self._numbers[name] = value
        self._write()

    def sample(self, gpu: int, pid: int, time_us: int, percent: int) -> None:
        """Add a sample of what a process used."""
        self._samples.append(f"sample{gpu} {pid} {time_us} {percent}")
        self._write()

    def _write(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text("\n".join([*(f"{k} {v}" for k, v in self._numbers.items()), *self._samples, ""]))
        beside.replace(self._path)
