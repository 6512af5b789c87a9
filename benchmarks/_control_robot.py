# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot as the policy node sees it: joint states at its tick rate, commands taken in; and its camera.

The middleware says when it took each command over, and its number, so the robot can tell without asking the
node which deadlines were followed by a command within a period, and which commands were lost on the way. Each
line of input begins a new account; the former one is printed.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from lowlat_nodes.benchmarks._control_policies import IMAGE, JOINTS
from lowlat_nodes.nodes.bag.timeline import PHASE_NS
from lowlat_nodes.nodes.realtime import sleep_until
from lowlat_nodes.stream.payload import Image, Joints
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros import message_type, prepare_process
from lowlat_nodes.transport.ros.topics import profile

JOINT_TOPIC, IMAGE_TOPIC, COMMAND_TOPIC = "/joint_states", "/camera/image", "/commands"
_STATE, _IMAGE, _COMMAND = (
    "sensor_msgs/msg/JointState",
    "sensor_msgs/msg/Image",
    "std_msgs/msg/Float64MultiArray",
)
_IMAGE_HZ = 30.0
_DRIFT = 1.001  # two clocks never agree: every two seconds states come at every phase of the tick once
_BOTH_CLOCKS_NS = 20_000
_COMMANDS_KEPT = 5000  # ten seconds of them, should this process be held up


def realtime_offset_ns(former_ns: int | None = None) -> int:
    """Return how far CLOCK_REALTIME is ahead of CLOCK_MONOTONIC.

    Args:
        former_ns: What to return if this process loses its core between the clocks; None tries again.
    """
    while True:
        before_ns = time.monotonic_ns()
        realtime_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        if after_ns - before_ns < _BOTH_CLOCKS_NS:
            return realtime_ns - before_ns
        if former_ns is not None:
            return former_ns


class Account:
    """Which deadlines were followed by a command in time.

    Args:
        tick_ns: The period of the node's deadlines.
    """

    def __init__(self, tick_ns: int) -> None:
        self._tick_ns = tick_ns
        self._newest_ns = self._newest = 0
        self.commands = 0
        self.lost = 0
        self.longest_gap_ns = 0
        self.stalls: list[tuple[int, int, int]] = []

    def add(self, sent_ns: int, number: int) -> None:
        """Take note of a command by its number, sent at this time of CLOCK_MONOTONIC."""
        if self._newest_ns:
            # A deadline without a command within a period is an interval of the grid without one.
            missed = self._deadline(sent_ns) - self._deadline(self._newest_ns) - 1
            lost = number - self._newest - 1
            self.lost += lost
            missed -= lost
            if missed > 0:
                self.stalls.append((missed, self._newest_ns, sent_ns))
            self.longest_gap_ns = max(self.longest_gap_ns, sent_ns - self._newest_ns)
        self._newest_ns, self._newest = sent_ns, number
        self.commands += 1

    def _deadline(self, time_ns: int) -> int:
        """Return the number of the newest deadline at a time."""
        return (time_ns - PHASE_NS) // self._tick_ns

    def summary(self) -> dict[str, Any]:
        """Return the figures; a stall is a number of deadlines, and the commands before and after."""
        return {
            "commands": self.commands,
            "commands_lost": self.lost,
            "longest_gap_ms": self.longest_gap_ns * 1e-6,
            "stalls_ns": self.stalls,
        }


class Robot:
    """Seven joints that are where they are told to be."""

    def __init__(self, node: Node, tick_ns: int) -> None:
        reliable = ReliabilityPolicy.RELIABLE
        self._states = node.create_publisher(message_type(_STATE), JOINT_TOPIC, profile(1, reliable))
        self._command_type = message_type(_COMMAND)
        self._commands = node.create_subscription(
            self._command_type,
            COMMAND_TOPIC,
            lambda _message: None,
            profile(_COMMANDS_KEPT, reliable),
            raw=True,
        )
        self._tick_ns = tick_ns
        self._period_ns = round(tick_ns * _DRIFT)
        self._position = np.zeros(len(JOINTS))
        self._realtime_ns = realtime_offset_ns()
        self.account = Account(tick_ns)

    def run(self) -> None:
        """Live until the input ends."""
        deadline_ns = time.monotonic_ns()
        while True:
            sleep_until(deadline_ns)
            self._take_commands()
            joints = Joints(JOINTS, self._position, np.zeros(len(JOINTS)), np.empty(0))
            self._states.publish(cdr.encode(_STATE, time.time_ns(), "base", joints))
            if select.select([sys.stdin], [], [], 0.0)[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps(self.account.summary()), flush=True)
                self.account = Account(self._tick_ns)
            deadline_ns = max(deadline_ns + self._period_ns, time.monotonic_ns())

    def _take_commands(self) -> None:
        self._realtime_ns = realtime_offset_ns(self._realtime_ns)
        handle = self._commands.handle
        with handle:
            while (taken := handle.take_message(self._command_type, True)) is not None:
                data, info = taken
                sent_ns = info["source_timestamp"] - self._realtime_ns
                self.account.add(sent_ns, info["publication_sequence_number"])
                self._position = cdr.decode(_COMMAND, data).payload


def run_camera(node: Node) -> None:
    """Publish a picture at 30 Hz until the input ends."""
    images = node.create_publisher(message_type(_IMAGE), IMAGE_TOPIC, profile(1, ReliabilityPolicy.RELIABLE))
    picture = np.random.default_rng(2).integers(0, 256, (IMAGE.height, IMAGE.width, 3), np.uint8)
    deadline_ns = time.monotonic_ns()
    while not select.select([sys.stdin], [], [], 0.0)[0]:
        sleep_until(deadline_ns)
        images.publish(cdr.encode(_IMAGE, time.time_ns(), "camera", Image(picture, "rgb8")))
        deadline_ns = max(deadline_ns + round(1e9 / _IMAGE_HZ), time.monotonic_ns())


def main(argv: Sequence[str] | None = None) -> int:
    """Be a robot, or its camera."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tick-ns", type=int, required=True, help="0 for the camera")
    options = parser.parse_args(argv)
    prepare_process()
    rclpy.init(args=[])
    try:
        if options.tick_ns:
            Robot(rclpy.create_node("robot"), options.tick_ns).run()
        else:
            run_camera(rclpy.create_node("camera"))
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
