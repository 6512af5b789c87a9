# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""rclpy, its middleware and its domain: as they are, and as people break them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.doctor import ros
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Level

Doctor = Callable[..., Any]

FREE = (32768, 60999)


@pytest.mark.ros
def test_this_one(doctor: Doctor, ros_domain_id: int) -> None:
    found = doctor("ros")
    assert found["middleware"]["figures"]["rmw"].startswith("rmw_")
    assert found["discovery"]["figures"]["range"] == "LOCALHOST"
    assert found["domain"]["figures"]["domain"] == ros_domain_id


@pytest.mark.ros
def test_a_middleware_that_is_none(doctor: Doctor) -> None:
    found = doctor("ros", {"RMW_IMPLEMENTATION": "nonsense", "ROS_DISTRO": ""}, code=1)["middleware"]
    assert found["level"] == "problem"
    assert "RMW_IMPLEMENTATION=nonsense does not load" in found["found"]
    assert found["mend"][0].startswith("unset RMW_IMPLEMENTATION")


def test_no_rclpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what ROS or its wheels put on the path, as on a fresh machine."""
    path = [folder for folder in sys.path if not (Path(folder) / "rclpy").is_dir()]
    monkeypatch.setattr(sys, "path", path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rclpy"]:
        monkeypatch.delitem(sys.modules, name)
    *_, found = ros.check(Examination({}))
    assert (found.about, found.level) == ("rclpy", Level.PROBLEM)
    assert "no ROS installation is sourced, and the wheels are not installed" in found.found
    assert found.mend[1].startswith(f"{sys.executable} -m pip install 'lowlat_nodes[ros]'")


@pytest.mark.parametrize("value", ["233", "-1", "one"])
def test_a_domain_that_is_none(value: str) -> None:
    assert ros.domain(value).level is Level.PROBLEM


def test_a_port_that_somebody_holds(ros_domain_id: int) -> None:
    assert ros.held_port(ros_domain_id) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("", 7400 + 250 * ros_domain_id))
        found = ros.domain(str(ros_domain_id))
    assert "which a program holds for itself" in found.found
    assert found.mend[0] == f"ss -lunp 'sport = :{7400 + 250 * ros_domain_id}'"


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({}, Level.OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "localhost"}, Level.OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, Level.PROBLEM),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "WORLD"}, Level.PROBLEM),
        ({"ROS_LOCALHOST_ONLY": "1"}, Level.NOTE),
        ({"ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, Level.WARNING),
    ],
)
def test_discovery(variables: dict[str, str], level: Level) -> None:
    [found] = ros.judge_discovery(variables)
    assert found.level is level
    assert bool(found.mend) == (level is not Level.OK)


def test_a_discovery_server() -> None:
    *_, found = ros.judge_discovery({"ROS_DISCOVERY_SERVER": "10.0.0.1:11811"})
    assert (found.level, "10.0.0.1:11811" in found.found) == (Level.NOTE, True)


def test_profiles(tmp_path: Path) -> None:
    jazzy, kilted = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
    there = tmp_path / "there.xml"
    there.touch()
    assert not list(ros.judge_profiles({jazzy: str(there), kilted: str(there)}))
    gone, differ = ros.judge_profiles({jazzy: str(there), kilted: str(tmp_path / "gone.xml")})
    assert (gone.level, gone.mend) == (Level.PROBLEM, (f"unset {kilted}",))
    assert differ.level is Level.WARNING


@pytest.mark.parametrize(
    ("domain", "held", "level"),
    [
        (0, None, Level.OK),
        (100, None, Level.OK),
        (150, None, Level.WARNING),
        (0, 7400, Level.PROBLEM),
        (232, None, Level.OK),
    ],
)
def test_domain(domain: int, held: int | None, level: Level) -> None:
    assert ros.judge_domain(domain, FREE, held).level is level


def test_two_installations(tmp_path: Path) -> None:
    wheels = {"ros-jazzy-rclpy": "7.1.6"}
    sourced = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": "/opt/ros/jazzy"}
    assert not list(ros.judge_mixture({}, wheels, "/venv"))
    assert not list(ros.judge_mixture(sourced, {}, "/venv"))
    [found] = ros.judge_mixture(sourced, wheels, "/venv")
    assert (found.level, found.about) == (Level.WARNING, "mixture")
    [found] = ros.judge_mixture({}, {**wheels, "ros-kilted-rclpy": "9.1.0"}, "/venv")
    assert found.level is Level.PROBLEM
    mark = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1", "LD_LIBRARY_PATH": "/other/lib"}
    [found] = ros.judge_mixture(mark, wheels, "/venv")
    assert (found.level, found.about) == (Level.PROBLEM, "wheels")
    assert not list(ros.judge_mixture({**mark, "LD_LIBRARY_PATH": "/other/lib:/venv/lib"}, wheels, "/venv"))


def test_rclpy_of_another_python(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "python3.8" / "site-packages"
    (folder / "rclpy").mkdir(parents=True)
    [found] = ros.judge_mixture({"PYTHONPATH": str(folder)}, {}, "/venv")
    assert (found.level, "made for Python 3.8" in found.found) == (Level.PROBLEM, True)


def test_what_the_probe_says() -> None:
    good = {"rmw": "rmw_fastrtps_cpp", "rclpy": "7.1.6", "folder": "/x", "vision_msgs": ""}
    assert [each.level for each in ros.judge_middleware(good, "", "", "")] == [Level.OK, Level.OK]
    _, found = ros.judge_middleware({**good, "vision_msgs": "ModuleNotFoundError: x"}, "", "", "")
    assert (found.level, "lowlat interfaces" in found.mend[1]) == (Level.PROBLEM, True)
    [found] = ros.judge_middleware(None, "no library", "rmw_cyclonedds_cpp", "jazzy")
    assert found.mend[1].startswith("sudo apt install ros-jazzy-rmw-cyclonedds-cpp")
    [found] = ros.judge_middleware(None, "no library", "", "")
    assert found.found == "rclpy does not start: no library"
