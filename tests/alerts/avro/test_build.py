# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The extension is built where there is a compiler, and is done without where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCE = "lowlat_nodes/alerts/avro/_machine.c"

pytest.importorskip("setuptools")


def build(folder: Path, **environment: str) -> list[Path]:
    """Build the extension from a copy of its source; returns what came of it."""
    for name in ("setup.py", "pyproject.toml", "README.md", "lowlat_nodes/__init__.py", SOURCE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", "built"]
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True)
    return list(folder.glob("built/lowlat_nodes/alerts/avro/_machine*"))


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")
def test_a_compiler_builds_the_extension_without_warnings(tmp_path: Path) -> None:
    assert (
        len(
            build(
                tmp_path, CFLAGS="-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers"
            )
        )
        == 1
    )


def test_no_compiler_is_no_error(tmp_path: Path) -> None:
    assert build(tmp_path, CC="false") == []
