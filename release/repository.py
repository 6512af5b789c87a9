# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the repository holds, and where an installation has it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath

from release.environment import CheckError, run

ROOT = Path(__file__).resolve().parents[1]
NAME = "lowlat_nodes"
LINKED = ("kernels", "benchmarks")
"""Folders at the top that are linked into the package."""


def version() -> str:
    """Return the version that the package says it has."""
    match = re.search(r'^__version__ = "([^"]+)"$', (ROOT / NAME / "__init__.py").read_text(), re.MULTILINE)
    if match is None:
        raise CheckError(f"{NAME}/__init__.py has no __version__")
    return match.group(1)


def tracked() -> list[str]:
    """Return the files of the repository that git knows, as they are in the working tree."""
    listing = run(["git", "ls-files", "-z"], folder=ROOT)
    return [name for name in listing.split("\0") if name and os.path.lexists(ROOT / name)]


def copy(names: list[str], target: Path) -> Path:
    """Copy files of the repository into a new folder."""
    for name in names:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, path, follow_symlinks=False)
    return target


def package_files(names: list[str]) -> set[str]:
    """Return the files of the Python package, where an installation has them."""
    own = {name for name in names if name.startswith(f"{NAME}/") and PurePosixPath(name).name not in LINKED}
    return own | {f"{NAME}/{name}" for name in names if PurePosixPath(name).parts[0] in LINKED}


def shared_files(names: list[str]) -> set[str]:
    """Return the files below share/lowlat_nodes: all of each folder of which setup.py installs a part."""
    folders = set(re.findall(r'shared_files\("(\w+)"', (ROOT / "setup.py").read_text(encoding="utf-8")))
    files = {name for name in names if PurePosixPath(name).parts[0] in folders}
    return {name for name in files if not name.endswith("COLCON_IGNORE")} | {"package.xml"}
