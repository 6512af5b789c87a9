# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds the message packages of this folder into the running virtual environment, where they are missing.

A ROS installation brings these packages; the wheels of the `ros` extra do not. The wheels' own rosidl
generates and compiles them, in an environment thrown away afterwards. An installed package always wins.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "vision_msgs"
SOURCE = HERE / PACKAGE
PREFIX = Path(sys.prefix)
STAMP = PREFIX / "share" / PACKAGE / "built_by_lowlat_nodes"

# What each distribution needs besides; the wheel of ament_package is the same for all, its releases are not.
OWN_TOOLS = {
    "jazzy": ["ros-ament-package==0.16.4", "ros-jazzy-python-cmake-module"],
    "kilted": ["ros-ament-package==0.17.2", "ros-kilted-ament-cmake-ros-core"],
}

# The wheels' metadata leaves out much of what generating messages takes.
GENERATORS = [
    "ament-cmake",
    "ament-cmake-gmock",
    "ament-cmake-gtest",
    "ament-cmake-include-directories",
    "ament-cmake-pytest",
    "ament-cmake-ros",
    "geometry-msgs",
    "rmw-fastrtps-cpp",
    "rosidl-core-generators",
    "rosidl-default-generators",
    "std-msgs",
]

# What has to be there, and how it is seen.
PREREQUISITES = {
    "cmake": lambda: shutil.which("cmake"),
    "make": lambda: shutil.which("make"),
    "g++": lambda: os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++"),
    "python3-dev": (Path(sysconfig.get_path("include")) / "Python.h").exists,
}


class BuildError(Exception):
    """The package could not be built; the message says what to do."""


def distribution() -> str | None:
    """Return the ROS distribution whose wheels are in this environment, or None."""
    for distro in OWN_TOOLS:
        try:
            wheel = importlib.metadata.distribution(f"ros-{distro}-rclpy")
        except importlib.metadata.PackageNotFoundError:
            continue
        # What a sourced environment adds to the path is not ours to build for.
        if Path(str(wheel.locate_file(""))).is_relative_to(PREFIX):
            return distro
    return None


def installed_elsewhere() -> bool:
    """Return whether the package comes from somebody else, such as a ROS installation."""
    spec = importlib.util.find_spec(PACKAGE)
    # The folder beside this script is found too, as a namespace, which has no origin.
    return spec is not None and spec.origin is not None and not STAMP.exists()


def installed_versions() -> list[str]:
    """Return the ROS wheels of this environment and NumPy as pip constraints."""
    found = {f"{wheel.metadata['Name']}=={wheel.version}" for wheel in importlib.metadata.distributions()}
    return sorted(line for line in found if line.startswith(("ros-", "numpy==")))


def fingerprint(versions: list[str]) -> str:
    """Return what the result depends on: definitions, this script, the interpreter and the ROS wheels."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted([Path(__file__), *SOURCE.rglob("*")]):
        if path.is_file():
            digest.update(path.read_bytes())
    digest.update("\n".join(line for line in versions if line.startswith("ros-")).encode())
    return digest.hexdigest()


def run(arguments: list[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run a command; its output is shown only if it fails."""
    result = subprocess.run(
        [str(argument) for argument in arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-40:])
        command = " ".join(map(str, arguments))
        raise BuildError(f"this failed with exit code {result.returncode}:\n{command}\n{tail}")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what points to other Python and ROS environments."""
    # The wheels of this environment have put their own libraries into ours at start; a child has its own.
    leaks = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in leaks}


def replace_paths(prefix: Path) -> None:
    """Point the wheels' CMake files at this machine's headers; they name those of their build machine."""
    python_include = sysconfig.get_path("include")
    numpy_include = str(next(prefix.glob("lib/python3*/site-packages/numpy/*core/include/numpy")).parent)
    for path in prefix.glob("share/*/cmake/*.cmake"):
        text = path.read_text(encoding="utf-8")
        fixed = re.sub(r'/opt/python/[^;"\s]*/numpy/(_core|core)/include', lambda _: numpy_include, text)
        fixed = re.sub(r'/opt/python/[^;"\s/]+/include/python[\d.]+', lambda _: python_include, fixed)
        if fixed != text:
            path.write_text(fixed, encoding="utf-8")


def build(distro: str, versions: list[str], work: Path) -> None:
    """Generate, compile and install the package into this environment, working in the folder `work`."""
    tools = work / "tools"
    environment = clean_environment()
    run([sys.executable, "-m", "venv", tools], environment)
    (work / "constraints.txt").write_text("\n".join(versions), encoding="utf-8")
    wheels = [f"ros-{distro}-{name}" for name in GENERATORS]
    wheels += [*OWN_TOOLS[distro], "catkin_pkg", "numpy", "setuptools<70"]
    run([tools / "bin" / "pip", "install", "-c", work / "constraints.txt", *wheels], environment)
    replace_paths(tools)

    environment |= {
        "AMENT_PREFIX_PATH": str(tools),
        "CMAKE_PREFIX_PATH": str(tools),
        "PATH": os.pathsep.join([str(tools / "bin"), environment["PATH"]]),
    }
    options = {
        "BUILD_TESTING": "OFF",
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_INSTALL_PREFIX": PREFIX,
        "PYTHON_INSTALL_DIR": Path(sysconfig.get_path("platlib")).relative_to(PREFIX),
        "Python3_EXECUTABLE": tools / "bin" / "python",
    }
    settings = [f"-D{name}={value}" for name, value in options.items()]
    objects = work / "objects"
    run(["cmake", "-G", "Unix Makefiles", "-S", SOURCE, "-B", objects, *settings], environment)
    run(["cmake", "--build", objects, "--parallel", str(os.cpu_count() or 1)], environment)
    # From here on what is found is ours, even if the installation is interrupted.
    STAMP.parent.mkdir(parents=True, exist_ok=True)
    STAMP.write_text("unfinished\n", encoding="utf-8")
    run(["cmake", "--install", objects], environment)
    names = sorted(path.stem for path in SOURCE.glob("msg/*.msg"))
    check = (
        f"from {PACKAGE} import msg; [getattr(msg, n).__class__.__import_type_support__() for n in {names}]"
    )
    run([sys.executable, "-c", check], clean_environment())


def main() -> int:
    """Build what is missing; return the exit code."""
    if installed_elsewhere():
        return 0
    distro = distribution()
    if distro is None:
        name = os.environ.get("ROS_DISTRO", "<distro>")
        print(f"interfaces: no {PACKAGE} here; try: apt install ros-{name}-vision-msgs", file=sys.stderr)
        return 0
    versions = installed_versions()
    expected = fingerprint(versions)
    if STAMP.exists() and STAMP.read_text(encoding="utf-8").strip() == expected:
        return 0
    missing = [name for name, present in PREREQUISITES.items() if not present()]
    if missing:
        needs, packages = ", ".join(missing), " ".join(missing)
        print(f"interfaces: {PACKAGE} needs {needs} to build; try: apt install {packages}", file=sys.stderr)
        return 1
    print(f"interfaces: building {PACKAGE} (about half a minute)", file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory(prefix="lowlat_interfaces_") as work:
            build(distro, versions, Path(work))
    except BuildError as error:
        print(f"interfaces: {error}", file=sys.stderr)
        return 1
    STAMP.write_text(f"{expected}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
