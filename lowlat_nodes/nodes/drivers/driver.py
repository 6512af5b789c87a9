# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What takes a simulated robot through a run: waits for its nodes, starts the lights, says what happens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from lowlat_nodes.control.executor import Outcome
from lowlat_nodes.transport.ros.process import keep_output_clean

POLICY, SIM = "policy_node", "sim_arm_node"
SILENCE_S = 20.0

_QUEUE = 1000
_SPIN_S = 0.05


class RunProblemError(Exception):
    """The run cannot go on; says why."""


class Driver(Node):
    """Hears the nodes of a simulated robot and starts its lights.

    Events of the lights are printed to standard output as they are on `reaction/events`, one JSON object per
    line.

    Args:
        name: Of this node.

    Attributes:
        values: What each node said last, by its name without the namespace.
        ended_ns: ROS time of the end of the lights; 0 before.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, start_parameter_services=False, enable_rosout=False)
        self.values: dict[str, dict[str, str]] = {}
        self.ended_ns = 0
        self._stamps_ns: dict[str, int] = {}
        self._has_plan = False
        self._heard_s = time.monotonic()
        latched = QoSProfile(depth=_QUEUE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(String, "reaction/events", self._on_event, latched)
        self.create_subscription(String, f"{POLICY}/inferences", self._on_inference, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        self._start = self.create_client(Trigger, "reaction/start")

    def heard(self, node: str, status: DiagnosticStatus) -> None:
        """Take in what a node said about itself; for subclasses."""

    def missing_robot(self) -> str:
        """Return what the lights cannot start without, empty if all is there."""
        if self.values.get(SIM, {}).get("state") != "active":
            return "active simulation"
        if not self._has_plan:
            detail = self.values.get(POLICY, {}).get("last_failure", "")
            return f"first chunk of the policy{f' ({detail})' if detail else ''}"
        return "" if self._start.service_is_ready() else "service reaction/start"

    def wait(self, missing: Callable[[], str], patience_s: float) -> None:
        """Wait until nothing is missing any more.

        Raises:
            RunProblemError: If something still is after `patience_s`.
        """
        deadline_s = time.monotonic() + patience_s
        while what := missing():
            if time.monotonic() > deadline_s:
                raise RunProblemError(f"after {patience_s:g} s there was still no {what}")
            self.spin()

    def start_lights(self) -> None:
        """Start the lights.

        Raises:
            RunProblemError: If the simulation refuses, or gives no answer.
        """
        self._heard_s = time.monotonic()
        answer = self._start.call_async(Trigger.Request())
        while not answer.done():
            if time.monotonic() - self._heard_s > SILENCE_S:
                raise RunProblemError(f"reaction/start gave no answer for {SILENCE_S:g} s")
            self.spin()
        if not answer.result().success:
            raise RunProblemError(f"reaction/start refused: {answer.result().message}")

    def follow_lights(self) -> None:
        """Wait until the last light is out.

        Raises:
            RunProblemError: If none goes on or off for a long time.
        """
        while not self.ended_ns:
            if time.monotonic() - self._heard_s > SILENCE_S:
                raise RunProblemError(f"no light went on or off for {SILENCE_S:g} s")
            self.spin()

    def hear_after(self, stamp_ns: int, *nodes: str) -> None:
        """Wait until each of these nodes has spoken after a time.

        Raises:
            RunProblemError: If one does not.
        """
        deadline_s = time.monotonic() + SILENCE_S
        while silent := [node for node in nodes if self._stamps_ns.get(node, 0) <= stamp_ns]:
            if time.monotonic() > deadline_s:
                raise RunProblemError(f"{' and '.join(silent)} sent no diagnostics for {SILENCE_S:g} s")
            self.spin()

    def spin(self, seconds: float = 0.0) -> None:
        """Hear what there is; for so long, or once."""
        end_s = time.monotonic() + seconds
        while True:
            rclpy.spin_once(self, timeout_sec=_SPIN_S)
            if time.monotonic() >= end_s:
                return

    def now_ns(self) -> int:
        """Return the ROS time."""
        return int(self.get_clock().now().nanoseconds)

    def _on_event(self, message: String) -> None:
        event = json.loads(message.data)
        self._heard_s = time.monotonic()
        if event["event"] == "end":
            self.ended_ns = event["stamp_ns"]
        tell(**event)

    def _on_inference(self, message: String) -> None:
        self._has_plan = self._has_plan or Outcome(json.loads(message.data)["outcome"]).accepted

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        stamp = message.header.stamp
        for status in message.status:
            node = status.name.partition(":")[0].strip().lstrip("/")
            self.values[node] = {item.key: item.value for item in status.values}
            self._stamps_ns[node] = stamp.sec * 1_000_000_000 + stamp.nanosec
            self.heard(node, status)


def tell(**what: Any) -> None:
    """Print one JSON object for whoever started this process."""
    print(json.dumps(what), flush=True)


def drive(play: Callable[[], None]) -> int:
    """Take a run from beginning to end with rclpy running.

    Returns:
        0 if it came to its end; 1 with `{"problem": sentence}` as the last line otherwise.
    """
    keep_output_clean()
    rclpy.init(args=[])
    try:
        play()
    except RunProblemError as error:
        tell(problem=str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 1
    finally:
        rclpy.try_shutdown()
    return 0
