# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Other middlewares are left alone, and one that is missing is named before rclpy ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.middleware import VARIABLE, installed, is_fast_dds, require_installed
from lowlat_nodes.transport.segments import profile_environment


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The prefix of a ROS installation with two middlewares, beside a Python without any."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    registered = tmp_path / "ros" / "share" / "ament_index" / "resource_index" / "rmw_typesupport"
    registered.mkdir(parents=True)
    for name in ("rmw_implementation", "rmw_fastrtps_cpp", "rmw_zenoh_cpp"):
        (registered / name).touch()
    return tmp_path / "ros"


def test_what_is_installed_is_found_in_every_prefix(prefix: Path) -> None:
    assert installed({}) == set()
    path = os.pathsep.join(["", "/nowhere", str(prefix)])
    assert installed({"AMENT_PREFIX_PATH": path}) == {"rmw_fastrtps_cpp", "rmw_zenoh_cpp"}


@pytest.mark.parametrize("name", ["", "rmw_zenoh_cpp"])
def test_the_default_and_what_is_installed_pass(prefix: Path, name: str) -> None:
    require_installed({"AMENT_PREFIX_PATH": str(prefix), VARIABLE: name})


def test_what_is_not_installed_is_refused_with_the_remedy(prefix: Path) -> None:
    environment = {"AMENT_PREFIX_PATH": str(prefix), "ROS_DISTRO": "jazzy", VARIABLE: "rmw_cyclonedds_cpp"}
    with pytest.raises(ConfigurationError) as caught:
        require_installed(environment)
    assert str(caught.value) == (
        "RMW_IMPLEMENTATION: expected an installed middleware, rmw_fastrtps_cpp or rmw_zenoh_cpp, got "
        "'rmw_cyclonedds_cpp'; try: unset RMW_IMPLEMENTATION, or apt install ros-jazzy-rmw-cyclonedds-cpp"
    )


def test_without_an_index_it_is_left_to_rcl(prefix: Path) -> None:
    require_installed({VARIABLE: "rmw_cyclonedds_cpp"})


@pytest.mark.ros
def test_a_node_says_so_and_is_not_to_be_started_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from lowlat_nodes.nodes.sim_arm_node import main; main()"],
        env=os.environ | {VARIABLE: "rmw_no_such_cpp"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == os.EX_CONFIG, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("RMW_IMPLEMENTATION: expected an installed middleware, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "fast_dds"),
    [
        ("", True),
        ("rmw_fastrtps_cpp", True),
        ("rmw_fastrtps_dynamic_cpp", True),
        ("rmw_cyclonedds_cpp", False),
        ("rmw_zenoh_cpp", False),
        ("rmw_connextdds", False),
    ],
)
def test_only_fast_dds_gets_a_profile_of_fast_dds(name: str, fast_dds: bool) -> None:
    assert is_fast_dds({VARIABLE: name}) is fast_dds
    assert bool(profile_environment({VARIABLE: name})) is fast_dds
