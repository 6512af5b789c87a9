# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Fake trees of sysfs, and somebody who may not read them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sysfs import FakeSysfs

from lowlat_nodes.stream.clock import ManualClock


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    return FakeSysfs(tmp_path / "sys")


@pytest.fixture
def agx_orin(sysfs: FakeSysfs) -> FakeSysfs:
    sysfs.agx_orin()
    return sysfs


@pytest.fixture
def orin_nx(sysfs: FakeSysfs) -> FakeSysfs:
    sysfs.orin_nx()
    return sysfs


@pytest.fixture
def agx_thor(sysfs: FakeSysfs) -> FakeSysfs:
    sysfs.agx_thor()
    return sysfs


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000_000)


@pytest.fixture
def public_sysfs() -> Iterator[FakeSysfs]:
    """Return a tree that every user may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield FakeSysfs(Path(folder) / "sys")


@pytest.fixture
def as_nobody() -> Callable[..., str]:
    """Run a program as a user who owns nothing, because root may read everything; return what it prints."""

    def run(program: str, *arguments: object) -> str:
        imports, _, rest = program.partition("---")
        become = "import os\nif os.getuid() == 0: os.setuid(65534)\n"
        command = [sys.executable, "-c", imports + become + rest, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run
