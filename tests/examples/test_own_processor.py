# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""examples/own_processor: installed by pip, hosted by `lowlat up`, replayed, and its own test."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.transport.bag import BagReader, Codec

PAGE = "own_processor/README.md"
PARAMETERS = Path("examples", "own_processor", "nearest_obstacle.yaml")


def test_its_own_test_passes(equipped: Any) -> None:
    run = equipped.run(equipped.documented(PAGE, "python3 -m pytest"), "-p", "no:cacheprovider")
    assert run.returncode == 0, run.stdout
    assert "3 passed" in run.stdout


@pytest.mark.ros
def test_a_node_hosts_it_by_configuration_alone(equipped: Any, robot: Any) -> None:
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import LaserScan
    from std_msgs.msg import Float64MultiArray

    heard: list[Any] = []
    robot.node.create_subscription(Float64MultiArray, "/nearest_obstacle/nearest", heard.append, 1)
    publisher = robot.node.create_publisher(LaserScan, "scan", qos_profile_sensor_data)  # as drivers do
    scan = LaserScan(angle_min=-1.0, angle_increment=0.5, range_min=0.1, range_max=30.0)
    scan.ranges = [3.0, 2.0, 4.0, 9.0, 1.5]
    with equipped.start(equipped.documented(PAGE, "lowlat up examples")) as up:
        robot.until(lambda: heard, lambda: publisher.publish(scan))
        assert heard[0].data.tolist() == [1.5, 1.0]
        assert up.end(signal.SIGINT) == 0, up.lines


@pytest.mark.ros
def test_a_typo_in_its_own_parameters_is_told_before_anything_starts(equipped: Any) -> None:
    command = equipped.documented(PAGE, "lowlat up --check")
    fine = equipped.run(command)
    assert (fine.returncode, fine.stderr) == (0, "")
    path = equipped.folder / PARAMETERS
    path.write_text(path.read_text().replace("half_angle:", "half_angel:"))
    wrong = equipped.run(command)
    assert wrong.returncode == 2
    assert (
        "there is no parameter 'parameters.half_angel'; did you mean 'parameters.half_angle'?" in wrong.stderr
    )


def test_a_replay_takes_the_parameters_of_the_node(equipped: Any) -> None:
    command = equipped.documented(PAGE, "lowlat replay")
    command[command.index("run1")] = "examples/bag_regression/drive.mcap"
    run = equipped.run(command, "-p", "max_range_m:=2.5")  # so that something is left to see of the file
    assert run.returncode == 0, run.stderr
    codec = Codec()
    with BagReader(equipped.folder / "nearest.mcap") as bag:
        nearest = np.array([codec.decode("", message, 0).payload for message in bag.messages()])
    assert nearest.shape == (50, 2)
    seen = np.isfinite(nearest[:, 0])
    assert 0 < seen.sum() < 50
    assert np.abs(nearest[seen, 1]).max() <= 1.0  # half_angle of the file
    assert nearest[seen, 0].max() <= 2.5


def test_its_parameters_are_listed(equipped: Any) -> None:
    run = equipped.run(equipped.documented(PAGE, "lowlat parameters"))
    assert (
        "| `max_range_m` | `10.0` | float from 0.01 to 1000 m | What is farther is no obstacle. |"
        in run.stdout
    )


def test_it_is_among_the_processors_that_replay_knows(equipped: Any) -> None:
    run = equipped.run(["lowlat", "replay", "-h"])
    assert "nearest_obstacle" in run.stdout
