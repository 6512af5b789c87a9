# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot with a signal among its joint states that counts events, and an ear for the answers to them.

One line of input, `[events, least_ms, most_ms, seed]`, starts that many events at random intervals. The
answer is `{"events_ns": [...], "changes": [[sent_ns, value], ...], "commands": n}` in CLOCK_MONOTONIC: when
each event was stamped, and each published command whose value is another than the one before, with the
middleware's stamp of its publication.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from collections import deque
from collections.abc import Iterator

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from lowlat_nodes.benchmarks._control_robot import COMMAND_TOPIC, JOINT_TOPIC, realtime_offset_ns
from lowlat_nodes.benchmarks._reaction_policy import JOINTS
from lowlat_nodes.nodes.realtime import request_fifo, sleep_until
from lowlat_nodes.stream.payload import NO_FLOATS, Joints
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros import message_type, prepare_process
from lowlat_nodes.transport.ros.topics import profile

_STATE, _COMMAND = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"
_PERIOD_NS = 2_002_000  # beside the tick's, so that states come at every phase of it
_COMMANDS_KEPT = 5000  # ten seconds of them, should this process be held up
_PATIENCE_NS = 3_000_000_000  # with the last answer
_PRIORITY = 20  # a real robot takes no time of this machine, and does not suffer from a busy one


class Robot:
    """One axis that is where it is told to be, and the signal."""

    def __init__(self, node: Node) -> None:
        reliable = ReliabilityPolicy.RELIABLE
        self._states = node.create_publisher(message_type(_STATE), JOINT_TOPIC, profile(1, reliable))
        self._type = message_type(_COMMAND)
        self._commands = node.create_subscription(
            self._type, COMMAND_TOPIC, lambda _message: None, profile(_COMMANDS_KEPT, reliable), raw=True
        )
        self._axis = self._signal = 0.0
        self._realtime_ns = realtime_offset_ns()
        self._changes: list[tuple[int, float]] = []
        self._count = 0

    def run(self) -> None:
        """Live until the input ends."""
        due: deque[int] = deque()
        asked, events_ns, give_up_ns = False, [], 0
        deadline_ns = time.monotonic_ns()
        while True:
            sleep_until(deadline_ns)
            self._take_commands()
            now_ns = time.monotonic_ns()
            happens = bool(due) and now_ns >= due[0]
            if happens:
                due.popleft()
                self._signal += 1.0
                give_up_ns = now_ns + _PATIENCE_NS
            stamp_ns = self._publish()
            if happens:
                events_ns.append(stamp_ns)
            if asked and not due and (self._axis >= self._signal or now_ns >= give_up_ns):
                asked = False
                answer = {"events_ns": events_ns, "changes": self._changes, "commands": self._count}
                print(json.dumps(answer), flush=True)
            if select.select([sys.stdin], [], [], 0.0)[0]:
                line = sys.stdin.readline()
                if not line:
                    return
                asked = True
                due.extend(_moments(now_ns, *json.loads(line)))
            deadline_ns = max(deadline_ns + _PERIOD_NS, time.monotonic_ns())

    def _publish(self) -> int:
        """Send the joint state and return its stamp."""
        stamp_ns = time.time_ns()
        joints = Joints(JOINTS, np.array([self._axis, self._signal]), np.zeros(len(JOINTS)), NO_FLOATS)
        self._states.publish(cdr.encode(_STATE, stamp_ns, "base", joints))
        return stamp_ns - self._realtime_ns

    def _take_commands(self) -> None:
        self._realtime_ns = realtime_offset_ns(self._realtime_ns)
        handle = self._commands.handle
        with handle:
            while (taken := handle.take_message(self._type, True)) is not None:
                data, info = taken
                self._count += 1
                value = float(cdr.decode(_COMMAND, data).payload[0])
                if value != self._axis:
                    self._axis = value
                    self._changes.append((info["source_timestamp"] - self._realtime_ns, value))


def _moments(now_ns: int, events: int, least_ms: float, most_ms: float, seed: int) -> Iterator[int]:
    """Yield when the events are due."""
    draw = random.Random(seed)
    for _ in range(events):
        now_ns += round(draw.uniform(least_ms, most_ms) * 1e6)
        yield now_ns


def main() -> int:
    """Be the robot."""
    prepare_process()
    rclpy.init(args=[])
    try:
        robot = Robot(rclpy.create_node("robot"))
        request_fifo(_PRIORITY, others=_PRIORITY)
        robot.run()
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
