# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The time that ticks are counted in: steady time on a robot, simulated time under `use_sim_time`."""

from __future__ import annotations

import struct
import time
from typing import Protocol

from rclpy.node import Node

from lowlat_nodes.nodes.realtime import sleep_until
from lowlat_nodes.transport.ros.polled import PolledSubscription
from lowlat_nodes.transport.ros.topics import Input

# The kernel has its own timer interrupt at multiples of 1 to 10 ms, and is busy then.
PHASE_NS = 300_000

_CLOCK = struct.Struct("<4xiI")  # CDR header, then builtin_interfaces/Time
_POLL_NS = 500_000
_PATIENCE_NS = 50_000_000
_JUMP_NS = 1_000_000_000


class Timeline(Protocol):
    """A clock that one can wait on, and its relation to ROS stamps."""

    jumped: bool

    def now_ns(self) -> int:
        """Return the present time."""
        ...

    def from_ros(self, stamp_ns: int) -> int:
        """Return when on this timeline a message was stamped, by its age."""
        ...

    def ros_ns(self, local_ns: int) -> int:
        """Return the ROS stamp of an instant of this timeline."""
        ...

    def wait(self, deadline_ns: int) -> bool:
        """Wait for a deadline; false if it does not come for a while, or if time jumped."""
        ...

    def late_ns(self, deadline_ns: int) -> int:
        """Return how far past a deadline it is."""
        ...

    def next_tick(self, tick_ns: int) -> int:
        """Return the next instant on the grid of this period; forgets a jump."""
        ...


class SteadyTimeline:
    """CLOCK_MONOTONIC: ages cross over from ROS time, stamps never do, so a clock jump is harmless."""

    jumped = False

    def now_ns(self) -> int:
        """Return steady time."""
        return time.monotonic_ns()

    def from_ros(self, stamp_ns: int) -> int:
        """Return now minus the age of the stamp."""
        return time.monotonic_ns() - (time.time_ns() - stamp_ns)

    def ros_ns(self, local_ns: int) -> int:
        """Return system time for an instant close to now."""
        return time.time_ns() - (time.monotonic_ns() - local_ns)

    def wait(self, deadline_ns: int) -> bool:
        """Sleep until the deadline."""
        sleep_until(deadline_ns)
        return True

    def late_ns(self, deadline_ns: int) -> int:
        """Return steady time since the deadline."""
        return time.monotonic_ns() - deadline_ns

    def next_tick(self, tick_ns: int) -> int:
        """Return the next multiple of the period but one, and a bit: `PHASE_NS`."""
        return (time.monotonic_ns() // tick_ns + 2) * tick_ns + PHASE_NS


class SimulatedTimeline:
    """The time that `/clock` tells. It may stand still, leap and go back; a tick is never late in it."""

    def __init__(self, node: Node) -> None:
        self.jumped = False
        self._clock = PolledSubscription(
            node, Input(topic="/clock", type_name="rosgraph_msgs/msg/Clock", reliability="best_effort")
        )
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the newest simulated time; notes a jump of more than a second or any step back."""
        taken = self._clock.take()
        if taken is not None and len(taken.data) >= _CLOCK.size:
            seconds, nanoseconds = _CLOCK.unpack_from(taken.data)
            now_ns = seconds * 1_000_000_000 + nanoseconds
            if now_ns < self._now_ns or (self._now_ns and now_ns > self._now_ns + _JUMP_NS):
                self.jumped = True
            self._now_ns = now_ns
        return self._now_ns

    def from_ros(self, stamp_ns: int) -> int:
        """Return the stamp itself: both are simulated time."""
        return stamp_ns

    def ros_ns(self, local_ns: int) -> int:
        """Return the instant itself."""
        return local_ns

    def wait(self, deadline_ns: int) -> bool:
        """Follow the clock up to the deadline, for 50 ms at most; a deadline long past is a jump."""
        give_up_ns = time.monotonic_ns() + _PATIENCE_NS
        while True:
            begins = not self._now_ns
            now_ns = self.now_ns()
            if begins and now_ns:
                return False  # the deadline was reckoned without a clock
            self.jumped = self.jumped or now_ns > deadline_ns + _JUMP_NS
            if self.jumped:
                return False
            if now_ns >= deadline_ns:
                return True
            if time.monotonic_ns() >= give_up_ns:
                return False
            sleep_until(time.monotonic_ns() + _POLL_NS)

    def late_ns(self, _deadline_ns: int) -> int:
        """Return 0: simulated time is in no hurry, and each of its ticks is made up for."""
        return 0

    def next_tick(self, tick_ns: int) -> int:
        """Return the next multiple of the period."""
        now_ns = self.now_ns()
        self.jumped = False
        return (now_ns // tick_ns + 1) * tick_ns
