# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An sdist and a wheel, held against the repository and against each other."""

from __future__ import annotations

import configparser
import email.message
import email.parser
import re
import tarfile
import zipfile
from pathlib import Path

from release.environment import CheckError
from release.repository import NAME, ROOT, package_files, shared_files, version

SOURCES = {"CHANGELOG.rst", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg", "setup.py"}
"""Files at the top that only an sdist has."""


def require(condition: object, message: str) -> None:
    """Raise CheckError with a message unless a condition holds."""
    if not condition:
        raise CheckError(message)


def same(what: str, expected: set[str], found: set[str]) -> None:
    """Raise CheckError if two sets of names differ, and say how."""
    lines = [f"missing: {name}" for name in sorted(expected - found)]
    lines += [f"not expected: {name}" for name in sorted(found - expected)]
    require(not lines, "\n".join([what, *lines]))


def check_versions() -> None:
    """One version, and the changelog has it with a date."""
    ours = version()
    manifest = (ROOT / "package.xml").read_text(encoding="utf-8")
    require(f"<version>{ours}</version>" in manifest, f"package.xml does not have version {ours}")
    heading = rf"^{re.escape(ours)} \(\d{{4}}-\d\d-\d\d\)$"
    changes = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    require(re.search(heading, changes, re.MULTILINE), f"CHANGELOG.rst has no section '{ours} (YYYY-MM-DD)'")


def check_sdist(sdist: Path, names: list[str]) -> None:
    """Hold an sdist against the repository."""
    top = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(sdist) as archive:
        found = {item.name.removeprefix(f"{top}/") for item in archive.getmembers() if not item.isdir()}
    found = {name for name in found if not name.startswith(f"{NAME}.egg-info/")}
    expected = package_files(names) | shared_files(names) | SOURCES | {"PKG-INFO", f"resource/{NAME}"}
    same("the sdist differs from the repository", expected, found)


def check_wheel(wheel: Path, names: list[str]) -> None:
    """Hold a wheel against the repository, and its metadata against what PyPI shows."""
    information = f"{NAME}-{version()}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if not name.endswith("/")}
        metadata = email.parser.Parser().parsestr(archive.read(f"{information}/METADATA").decode())
    compiled = {name for name in found if name.endswith(".so")}
    reader = f"{NAME}/alerts/avro/_machine."
    require(
        [name.startswith(reader) for name in compiled] == [True], "the wheel has no compiled reader of alerts"
    )
    share = f"{NAME}-{version()}.data/data/share"
    expected = {name for name in package_files(names) if not name.endswith(".c")} | compiled
    expected |= {f"{share}/{NAME}/{name}" for name in shared_files(names)}
    expected |= {f"{share}/ament_index/resource_index/packages/{NAME}"}
    require(f"{information}/licenses/LICENSE" in found, "the wheel has no licence")
    same(
        "the wheel differs from the repository",
        expected,
        {name for name in found if not name.startswith(f"{information}/")},
    )
    check_metadata(metadata)
    nodes = {
        path.stem
        for path in (ROOT / NAME / "nodes").glob("*_node.py")
        if "\ndef main(" in path.read_text("utf-8")
    }
    mains = {f"{NAME}.cli.main:main"} | {f"{NAME}.nodes.{node}:main" for node in nodes}
    same("console scripts", mains, set(scripts(wheel).values()))


def scripts(wheel: Path) -> dict[str, str]:
    """Return the programs that a wheel installs, by name, and what each of them calls."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"{NAME}-{version()}.dist-info/entry_points.txt").decode()
    entries = configparser.ConfigParser()
    entries.optionxform = str  # type: ignore[assignment, method-assign]
    entries.read_string(text)
    return dict(entries["console_scripts"])


def check_metadata(metadata: email.message.Message) -> None:
    """Check what an index shows and what pip asks for."""
    require(metadata["Version"] == version(), f"expected version {version()}, got {metadata['Version']}")
    require(metadata["Requires-Python"], "the metadata has no range of Python versions")
    require(metadata["Description-Content-Type"] == "text/markdown", "the description is not called Markdown")
    text = str(metadata.get_payload())
    relative = re.findall(r"\]\((?!https?:)[^)]*\)", text)
    require(len(text) > 1000, "the description is not README.md")
    require(not relative, f"links of the description that lead nowhere on an index: {relative}")


def contents(wheel: Path) -> dict[str, bytes]:
    """Return what a wheel installs, but for what names its build: the record and compiled code."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(("/", "/RECORD", ".so"))]
        return {name: archive.read(name) for name in names}


def check_same(wheel: Path, other: Path) -> None:
    """Two wheels install the same."""
    ours, theirs = contents(wheel), contents(other)
    same("the sdist builds another wheel than the repository", set(ours), set(theirs))
    differing = [name for name in ours if ours[name] != theirs[name]]
    require(not differing, f"files that differ in the wheel that the sdist builds: {differing}")
