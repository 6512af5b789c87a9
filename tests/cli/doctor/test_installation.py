# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Installations that are whole, and such as lack something or have it twice."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.doctor import installation
from lowlat_nodes.cli.doctor.finding import Level
from lowlat_nodes.cli.doctor.requirements import Requirement

Doctor = Callable[..., Any]

ROOT = Path(__file__).resolve().parents[3]
NODES = ["policy_node", "detector_node"]


def install(folder: Path, name: str, version: str) -> dict[str, str]:
    """Install a distribution of a name, and return the environment in which it is found."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return {"PYTHONPATH": f"{folder}:{ROOT}"}


def test_this_one(doctor: Doctor) -> None:
    found = doctor("installation", code=0)
    assert {about: found[about]["level"] for about in ("Python", "libraries", "OpenCV", "lowlat_nodes")} == {
        "Python": "ok",
        "libraries": "ok",
        "OpenCV": "ok",
        "lowlat_nodes": "ok",
    }
    assert "test" in found["extras"]["figures"]["complete"]


def test_every_extra_is_described() -> None:
    extras = importlib.metadata.metadata("lowlat_nodes").get_all("Provides-Extra")
    assert set(installation.EXTRAS) == set(extras or [])


def test_a_second_opencv_and_a_second_numpy(doctor: Doctor, tmp_path: Path) -> None:
    numpy = importlib.metadata.version("numpy")
    other = "1.26.4" if numpy.startswith("2") else "2.0.0"
    variables = install(tmp_path, "opencv-contrib-python", "4.9.0") | install(tmp_path, "numpy", other)
    found = doctor("installation", variables, code=1)
    assert found["NumPy"]["level"] == "warning"
    assert found["NumPy"]["mend"][0].endswith(f"numpy=={numpy}")
    assert found["OpenCV"]["level"] == "problem"
    assert "opencv-contrib-python 4.9.0 share the folder cv2" in found["OpenCV"]["found"]
    assert "uninstall -y opencv-python-headless opencv-contrib-python" in found["OpenCV"]["mend"][0]


def test_an_opencv_that_does_not_load(doctor: Doctor, tmp_path: Path) -> None:
    """As the plain wheel without libGL, which servers lack."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    found = doctor("installation", {"PYTHONPATH": f"{tmp_path}:{ROOT}"}, code=1)["OpenCV"]
    assert "It does not load: libGL.so.1: cannot open" in found["found"]
    assert "--force-reinstall opencv-python-headless" in found["mend"][-1]


def test_ros2_run(tmp_path: Path) -> None:
    """By its own rule: executables in lib/PACKAGE of a prefix that the ament index knows the package in."""
    assert "No ROS installation is sourced" in installation.judge_ros_run(NODES, "").found
    prefixes = f"/nowhere:{tmp_path}"
    assert installation.judge_ros_run(NODES, prefixes).level is Level.WARNING
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "lowlat_nodes").touch()
    found = installation.judge_ros_run(NODES, prefixes)
    assert (found.level, found.figures["missing"]) == (Level.PROBLEM, NODES)
    folder = tmp_path / "lib" / "lowlat_nodes"
    folder.mkdir(parents=True)
    for name in NODES:
        (folder / name).touch(mode=0o755)
    assert installation.judge_ros_run(NODES, prefixes).level is Level.OK
    (folder / "policy_node").chmod(0o644)
    assert installation.judge_ros_run(NODES, prefixes).figures == {"missing": ["policy_node"]}


def test_executables(tmp_path: Path) -> None:
    scripts = dict.fromkeys(NODES, "lowlat_nodes.nodes.x")
    found = installation.judge_scripts(scripts, str(tmp_path), "/bin")
    assert (found.level, found.figures["missing"]) == (Level.PROBLEM, NODES)
    for name in NODES:
        (tmp_path / name).touch(mode=0o755)
    assert installation.judge_scripts(scripts, str(tmp_path), "/bin").level is Level.NOTE
    assert installation.judge_scripts(scripts, str(tmp_path), f"/bin:{tmp_path}").level is Level.OK


def test_python() -> None:
    bounds = importlib.metadata.metadata("lowlat_nodes")["Requires-Python"]
    assert installation.judge_python("3.12.1", bounds).level is Level.OK
    assert installation.judge_python("3.9.18", bounds).level is Level.PROBLEM


def test_versions_of_two_copies() -> None:
    assert installation.judge_version("0.1.0", "0.1.0", ROOT).level is Level.OK
    found = installation.judge_version("0.1.0", "0.0.9", ROOT / "lowlat_nodes")
    assert (found.level, found.mend) == (Level.WARNING, (f"{sys.executable} -m pip install -e {ROOT}",))


def test_libraries_and_extras() -> None:
    numpy, other = Requirement("numpy", ">=1.26"), Requirement("lowlat-no-such-thing", ">=1")
    assert installation.judge_base([numpy]).level is Level.OK
    found = installation.judge_base([numpy, other, Requirement("numpy", ">=99")])
    assert found.level is Level.PROBLEM
    assert found.mend[0].endswith("pip install 'lowlat-no-such-thing>=1' 'numpy>=99'")
    extras = [
        Requirement("numpy", "", "viz"),
        Requirement("lowlat-no-such-thing", "", "zenoh"),
        Requirement("numpy", ">=99", "torch"),
        Requirement("lowlat-no-such-thing", "", "dev"),
    ]
    judged = {each.about: each for each in installation.judge_extras(extras)}
    assert judged["extras"].figures == {"complete": ["viz"]}
    assert judged["more extras"].level is Level.NOTE
    assert judged["more extras"].figures == {"missing": {"zenoh": ["lowlat-no-such-thing"]}}
    assert "'lowlat_nodes[zenoh]'" in judged["more extras"].mend[0]
    assert judged["extra torch"].level is Level.WARNING
    assert set(judged) == {"extras", "more extras", "extra torch"}


def test_one_of_two_ros_is_enough() -> None:
    both = [Requirement("numpy", "", "ros"), Requirement("lowlat-no-such-thing", "", "ros-kilted")]
    assert [each.about for each in installation.judge_extras(both)] == ["extras"]


def test_the_reader_of_alerts() -> None:
    assert installation.judge_reader(True).level is Level.OK
    found = installation.judge_reader(False)
    assert (found.level, found.mend[0]) == (Level.WARNING, "sudo apt install gcc python3-dev")
