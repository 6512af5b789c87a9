# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What this package needs, by its own metadata, and what of it is installed."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shlex
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NAME = "lowlat_nodes"

_LINE = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?\Z")
_BOUND = re.compile(r"(==|>=|<=|!=|~=|<|>)\s*([0-9][0-9A-Za-z.+*-]*)")
_EXTRA = re.compile(r"extra\s*==\s*[\"']([^\"']+)[\"']")
_OF_MACHINE = re.compile(r"(sys_platform|platform_machine)\s*==\s*[\"']([^\"']+)[\"']")


@dataclass(frozen=True)
class Requirement:
    """A distribution that is needed, here and now.

    Attributes:
        name: What pip calls it.
        bounds: Its versions, such as `>=1.26`; empty for any.
        extra: The extra that brings it; empty for the package itself.
    """

    name: str
    bounds: str
    extra: str = ""

    @property
    def line(self) -> str:
        """As pip reads it."""
        return f"{self.name}{self.bounds}"

    def installed(self) -> str:
        """Return the version that is installed; empty for none."""
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return ""

    def met(self) -> bool:
        """Whether a version that fits is installed."""
        found = self.installed()
        return bool(found) and fits(found, self.bounds)


def parse(lines: Sequence[str]) -> Iterator[Requirement]:
    """Yield the requirements of this machine out of the lines of metadata.

    Raises:
        ValueError: If a line is none.
    """
    for line in lines:
        match = _LINE.match(line.strip())
        if match is None:
            raise ValueError(f"expected a requirement, got {line!r}")
        name, bounds, marker = match.groups()
        here = {"sys_platform": sys.platform, "platform_machine": platform.machine()}
        if any(here[what] != value for what, value in _OF_MACHINE.findall(marker or "")):
            continue
        extra = _EXTRA.search(marker or "")
        yield Requirement(name, bounds.strip(), extra.group(1) if extra else "")


def fits(version: str, bounds: str) -> bool:
    """Whether a version lies within bounds, by its numbers; what follows them (rc1, +cpu) is left out."""
    have = _numbers(version)
    for operator, text in _BOUND.findall(bounds):
        want = _numbers(text)
        size = max(len(have), len(want))
        left, right = _padded(have, size), _padded(want, size)
        prefix = have[: len(want)] == want
        good = {
            "==": prefix if text.endswith(".*") else left == right,
            "!=": not prefix if text.endswith(".*") else left != right,
            ">=": left >= right,
            "<=": left <= right,
            ">": left > right,
            "<": left < right,
            "~=": left >= right and have[: len(want) - 1] == want[:-1],
        }
        if not good[operator]:
            return False
    return True


def versions_of(names: Sequence[str]) -> dict[str, str]:
    """Return the version of each distribution that is installed."""
    found = {}
    for name in names:
        version = Requirement(name, "").installed()
        if version:
            found[name] = version
    return found


def pip(command: str, *arguments: str) -> str:
    """Return a command line of this interpreter's pip; that of Debian must be told that it may (PEP 668)."""
    managed = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    allowed = ["--break-system-packages"] if sys.prefix == sys.base_prefix and managed.is_file() else []
    return shlex.join([sys.executable, "-m", "pip", command, *allowed, *arguments])


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _padded(numbers: tuple[int, ...], size: int) -> tuple[int, ...]:
    return numbers + (0,) * (size - len(numbers))
