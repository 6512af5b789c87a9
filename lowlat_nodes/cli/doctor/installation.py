# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Python, this package, its executables, its extras, and libraries that get in each other's way."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import lowlat_nodes
from lowlat_nodes import resources
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, problem, warning
from lowlat_nodes.cli.doctor.requirements import NAME, Requirement, fits, parse, pip, versions_of

EXTRAS = {
    "ros": "rclpy and the messages of ROS 2 Jazzy as wheels, where no ROS is sourced",
    "ros-kilted": "the same of ROS 2 Kilted",
    "sim": "the simulated robot of `lowlat demo`",
    "viz": "plots",
    "remote": "policies behind a WebSocket",
    "dataset": "LeRobot datasets and Parquet files",
    "torch": "TorchScript models, and training",
    "onnx": "models cut into segments, quantised or counted",
    "train": "training of what ships",
    "finetune": "policies adapted to a robot",
    "openvino": "detectors by OpenVINO, the fastest backend on many processors",
    "tracking": "tracks of detections",
    "alerts": "Kafka, Prometheus and a writer of alert packets",
    "energy": "counters of NVIDIA GPUs",
    "zenoh": "streams over Zenoh",
    "kernels": "compiled operations on the processor",
    "triton": "kernels compiled and tested without a GPU",
    "sky": "templates of supernovae for the simulated sky",
    "iceoryx2": "shared memory that other languages read too",
    "peers": "libraries that benchmarks compare with",
    "test": "the test suite",
    "dev": "all that development needs",
}
"""What each extra of setup.py brings."""

_OF_DEVELOPMENT = {"peers", "test", "dev", "train", "triton"}
_ALTERNATIVES = {"ros": "ros-kilted", "ros-kilted": "ros"}
_OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_NODES = "lowlat_nodes.nodes."
_ROS_INDEX = Path("share/ament_index/resource_index/packages")


def check(examination: Examination) -> Iterator[Finding]:
    """Look at what is installed."""
    try:
        metadata = importlib.metadata.metadata(NAME)
    except importlib.metadata.PackageNotFoundError:
        root = Path(lowlat_nodes.__file__).parents[1]
        found = f"{root} is on the path without being installed: no executables, no record of what it needs."
        yield problem(NAME, found, pip("install", "-e", str(root)))
        return
    yield judge_python(platform.python_version(), metadata["Requires-Python"] or "")
    yield judge_version(lowlat_nodes.__version__, metadata["Version"], Path(lowlat_nodes.__file__).parent)
    requirements = list(parse(importlib.metadata.requires(NAME) or []))
    yield judge_base([each for each in requirements if not each.extra])
    sourced = bool(importlib.util.find_spec("rclpy")) and not versions_of(["ros-rclpy"])
    yield from judge_extras(each for each in requirements if not (sourced and each.extra in _ALTERNATIVES))
    scripts = _scripts()
    prefixes = examination.environment.get("AMENT_PREFIX_PATH", "")
    path = examination.environment.get("PATH", "")
    yield judge_scripts(scripts, sysconfig.get_path("scripts"), path, prefixes)
    yield judge_ros_run([name for name, module in scripts.items() if module.startswith(_NODES)], prefixes)
    yield judge_reader(_is_compiled(Path(lowlat_nodes.__file__).parent / "alerts" / "avro" / "_machine"))
    yield judge_opencv(versions_of(_OPENCV), _import_opencv())
    yield from judge_numpy(versions_on_path("numpy"))


def judge_python(version: str, bounds: str) -> Finding:
    """Return whether a version of Python is one that this package is made for."""
    if fits(version, bounds):
        return ok("Python", f"{version} ({sys.executable}).", version=version)
    found = f"{version} is not among those that this package is made for, {bounds}."
    return problem(
        "Python", found, "python3.12 -m venv .venv && .venv/bin/pip install lowlat_nodes", version=version
    )


def judge_version(own: str, installed: str, folder: Path) -> Finding:
    """Return whether what runs is what was installed."""
    if own == installed:
        return ok(NAME, f"{own} in {folder}.", version=own, folder=str(folder))
    found = (
        f"{folder} is {own}, but {installed} was installed: executables and entry points are those of the "
        "other."
    )
    return warning(NAME, found, pip("install", "-e", str(folder.parent)), version=own, installed=installed)


def judge_base(needed: Sequence[Requirement]) -> Finding:
    """Return whether all is there that the package needs in any case."""
    lacking = [each for each in needed if not each.met()]
    if not lacking:
        return ok("libraries", f"All {len(needed)} that are always needed are there.")
    names = ", ".join(f"{each.line} (here: {each.installed() or 'none'})" for each in lacking)
    return problem(
        "libraries", f"Missing or too old: {names}.", pip("install", *(each.line for each in lacking))
    )


def judge_extras(every: Iterable[Requirement]) -> Iterator[Finding]:
    """Yield which extras are complete, what those would bring that are not, and versions that do not fit."""
    extras: dict[str, list[Requirement]] = {}
    for requirement in every:
        if requirement.extra:
            extras.setdefault(requirement.extra, []).append(requirement)
    lacking = {extra: [each for each in needed if not each.met()] for extra, needed in extras.items()}
    complete = [extra for extra, missing in lacking.items() if not missing]
    yield ok("extras", f"Complete: {', '.join(complete) or 'none'}.", complete=complete)
    absent = {}
    for extra, missing in lacking.items():
        if extra in complete or extra in _OF_DEVELOPMENT or _ALTERNATIVES.get(extra) in complete:
            continue  # where there is no rclpy at all, the check of ROS says so
        wrong = [each for each in missing if each.installed()]
        if wrong:
            names = ", ".join(f"{each.name} is {each.installed()}, wanted {each.bounds}" for each in wrong)
            found = f"Other versions than were tested: {names}."
            yield warning(f"extra {extra}", found, pip("install", *(each.line for each in wrong)))
        elif extra not in _ALTERNATIVES:
            absent[extra] = [each.line for each in missing]
    if absent:
        told = "; ".join(f"{extra}: {EXTRAS[extra]}" for extra in absent)
        mend = pip("install", f"lowlat_nodes[{','.join(absent)}]")
        yield note(
            "more extras", f"Not installed: {told}.", f"{mend}    # of these, what you need", missing=absent
        )


def judge_scripts(scripts: Mapping[str, str], folder: str, path: str, prefixes: str = "") -> Finding:
    """Return whether each executable is where a shell finds it.

    Args:
        scripts: Module of each, by name.
        folder: Where pip puts them.
        path: PATH.
        prefixes: AMENT_PREFIX_PATH, in whose lib folders colcon puts them.
    """
    folders = [Path(folder), *map(Path, filter(None, path.split(os.pathsep)))]
    folders += [Path(prefix) / "lib" / NAME for prefix in _prefixes(prefixes)]
    lacking = [name for name in scripts if not any(os.access(each / name, os.X_OK) for each in folders)]
    if lacking:
        again = pip("install", "--force-reinstall", "--no-deps", _source())
        return problem(
            "executables", f"Not in {folder}, nor on the PATH: {', '.join(lacking)}.", again, missing=lacking
        )
    if folder not in path.split(os.pathsep):
        activate = Path(folder) / "activate"
        mend = f". {activate}" if activate.is_file() else f'export PATH="{folder}:$PATH"'
        found = f"All {len(scripts)} are in {folder}, which is not on the PATH of this shell."
        return note("executables", found, mend, folder=folder)
    return ok("executables", f"All {len(scripts)} are on the PATH, in {folder}.", folder=folder)


def judge_ros_run(nodes: Sequence[str], prefixes: str) -> Finding:
    """Return whether `ros2 run` finds each node: in lib/lowlat_nodes of a prefix of AMENT_PREFIX_PATH."""
    about = "ros2 run"
    if not prefixes:
        return note(about, "No ROS installation is sourced: nodes start by their names, or with `lowlat up`.")
    ours = [each for each in _prefixes(prefixes) if (each / _ROS_INDEX / NAME).is_file()]
    if not ours:
        found = (
            "A ROS installation is sourced, and no workspace with this package: `ros2 run` does not find it."
        )
        return warning(about, found, "colcon build --packages-select lowlat_nodes && . install/setup.bash")
    folder = ours[0] / "lib" / NAME
    lacking = [name for name in nodes if not os.access(folder / name, os.X_OK)]
    if lacking:
        found = f"Not in {folder}, where `ros2 run` looks: {', '.join(lacking)}."
        return problem(
            about, found, "colcon build --packages-select lowlat_nodes --cmake-clean-cache", missing=lacking
        )
    return ok(about, f"All {len(nodes)} nodes are in {folder}.", folder=str(folder))


def judge_reader(compiled: bool) -> Finding:
    """Return whether alerts are read in C."""
    if compiled:
        return ok("reader of alerts", "It is compiled.", compiled=True)
    return warning(
        "reader of alerts",
        "It was not compiled, as there was no C compiler: alerts are read in Python, many times slower.",
        "sudo apt install gcc python3-dev",
        pip("install", "--force-reinstall", "--no-deps", "--no-binary=lowlat_nodes", _source()),
        compiled=False,
    )


def judge_opencv(versions: Mapping[str, str], error: str) -> Finding:
    """Return whether there is one OpenCV, and whether it loads; by distribution, its version."""
    anew = pip("install", "--force-reinstall", "opencv-python-headless")
    if len(versions) > 1:
        both = " and ".join(f"{name} {version}" for name, version in versions.items())
        found = f"{both} share the folder cv2: the files of one have replaced those of the other."
        return problem("OpenCV", found, pip("uninstall", "-y", *versions), anew, **versions)
    if error:
        others = [name for name in versions if name != "opencv-python-headless"]
        mend = (*((pip("uninstall", "-y", *others),) if others else ()), anew)
        return problem("OpenCV", f"It does not load: {error}.", *mend, **versions)
    return ok(
        "OpenCV", f"{' '.join(*versions.items()) if versions else 'Not from PyPI'}, and it loads.", **versions
    )


def judge_numpy(found: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Yield a warning where two generations of NumPy are on the path; folder and version of each."""
    generations = {version.partition(".")[0] for _, version in found}
    if len(generations) > 1:
        (first, used), *others = found
        rest = ", ".join(f"{version} in {folder}" for folder, version in others)
        yield warning(
            "NumPy",
            f"{used} in {first} hides {rest}, which the messages of that ROS installation were built for.",
            pip("install", f"numpy=={others[0][1]}"),
        )


def versions_on_path(name: str) -> list[tuple[str, str]]:
    """Return folder and version of each distribution of a name on the path, the one that is used first."""
    found: dict[str, str] = {}
    for entry in importlib.metadata.distributions(name=name):
        found.setdefault(str(Path(str(entry.locate_file(""))).resolve()), entry.version)
    return list(found.items())


def _source() -> str:
    """Return what to install this package from: its checkout, or the index."""
    root = next(resources.roots())
    return str(root) if (root / "setup.py").is_file() else NAME


def _scripts() -> dict[str, str]:
    entries = importlib.metadata.distribution(NAME).entry_points
    return {entry.name: entry.module for entry in entries if entry.group == "console_scripts"}


def _prefixes(path: str) -> list[Path]:
    return [Path(each) for each in path.split(os.pathsep) if each]


def _is_compiled(module: Path) -> bool:
    """Whether there is an extension of a name for this Python; importing it would need numpy."""
    return any(module.with_name(module.name + suffix).is_file() for suffix in EXTENSION_SUFFIXES)


def _import_opencv() -> str:
    """Return why OpenCV does not load; empty where it does."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where it cannot load, it prints advice
            importlib.import_module("cv2")
    except (ImportError, AttributeError) as error:  # the latter where two versions are mixed
        return str(error).splitlines()[0]
    return ""
