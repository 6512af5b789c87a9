# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes one run of the demo from the first sign of life of its nodes to the last light."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from lowlat_nodes.control.executor import Outcome
from lowlat_nodes.transport.ros.process import keep_output_clean

_QUEUE = 1000
_SPIN_S = 0.05
_SILENCE_S = 20.0
_LAST_WORDS_S = 0.5
_POLICY, _SIM = "policy_node", "sim_arm_node"


class RunProblemError(Exception):
    """The run cannot go on; says why."""


class DemoDriver(Node):
    """Waits until arm, policy and recorder are ready, starts the lights, and waits until the last is out.

    What happens is printed to standard output, one JSON object per line: events of the lights as they are on
    `reaction/events`, `{"policy": {name: text}}` with the policy's diagnostics, and `{"phase": word}`.

    Args:
        recorded: Topics that the recorder must listen to before anything starts.
        recorder: Name of its node.
    """

    def __init__(self, recorded: Sequence[str], recorder: str) -> None:
        super().__init__("demo_driver", start_parameter_services=False, enable_rosout=False)
        self._recorded = recorded
        self._recorder = recorder
        self._values: dict[str, dict[str, str]] = {}
        self._stamps_ns: dict[str, int] = {}
        self._has_plan = False
        self._ended_ns = 0
        self._heard_s = time.monotonic()
        latched = QoSProfile(depth=_QUEUE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(String, "reaction/events", self._on_event, latched)
        self.create_subscription(String, f"{_POLICY}/inferences", self._on_inference, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        self._start = self.create_client(Trigger, "reaction/start")

    def play(self, patience_s: float) -> None:
        """Take the run from beginning to end.

        Raises:
            RunProblemError: If something is not ready after `patience_s`, or falls silent.
        """
        _tell(phase="starting")
        deadline_s = time.monotonic() + patience_s
        while missing := self._missing():
            if time.monotonic() > deadline_s:
                raise RunProblemError(f"after {patience_s:g} s there was still no {missing}")
            self._spin()
        # The counters of the policy before the start must be in the bag.
        self._spin_until_heard_after(self.get_clock().now().nanoseconds)
        self._call_start()
        _tell(phase="playing")
        while not self._ended_ns:
            if time.monotonic() - self._heard_s > _SILENCE_S:
                raise RunProblemError(f"no light went on or off for {_SILENCE_S:g} s")
            self._spin()
        self._spin_until_heard_after(self._ended_ns)
        deadline_s = time.monotonic() + _LAST_WORDS_S
        while time.monotonic() < deadline_s:
            self._spin()
        _tell(phase="done")

    def _missing(self) -> str:
        """Return what the run cannot start without, empty if all is there."""
        if self._values.get(_SIM, {}).get("state") != "active":
            return "active simulation"
        if not self._has_plan:
            detail = self._values.get(_POLICY, {}).get("last_failure", "")
            return f"first chunk of the policy{f' ({detail})' if detail else ''}"
        for topic in self._recorded:
            listeners = self.get_subscriptions_info_by_topic(topic)
            if not any(item.node_name == self._recorder for item in listeners):
                return f"recorder on {topic}"
        return "" if self._start.service_is_ready() else "service reaction/start"

    def _call_start(self) -> None:
        self._heard_s = time.monotonic()
        answer = self._start.call_async(Trigger.Request())
        while not answer.done():
            if time.monotonic() - self._heard_s > _SILENCE_S:
                raise RunProblemError(f"reaction/start gave no answer for {_SILENCE_S:g} s")
            self._spin()
        if not answer.result().success:
            raise RunProblemError(f"reaction/start refused: {answer.result().message}")

    def _spin_until_heard_after(self, stamp_ns: int) -> None:
        deadline_s = time.monotonic() + _SILENCE_S
        while any(self._stamps_ns.get(node, 0) <= stamp_ns for node in (_POLICY, _SIM)):
            if time.monotonic() > deadline_s:
                raise RunProblemError(f"{_POLICY} or {_SIM} sent no diagnostics for {_SILENCE_S:g} s")
            self._spin()

    def _spin(self) -> None:
        rclpy.spin_once(self, timeout_sec=_SPIN_S)

    def _on_event(self, message: String) -> None:
        event = json.loads(message.data)
        self._heard_s = time.monotonic()
        if event["event"] == "end":
            self._ended_ns = event["stamp_ns"]
        _tell(**event)

    def _on_inference(self, message: String) -> None:
        self._has_plan = self._has_plan or Outcome(json.loads(message.data)["outcome"]).accepted

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        stamp = message.header.stamp
        for status in message.status:
            node = status.name.partition(":")[0].strip().lstrip("/")
            self._values[node] = {item.key: item.value for item in status.values}
            self._stamps_ns[node] = stamp.sec * 1_000_000_000 + stamp.nanosec
            if node == _POLICY:
                _tell(policy=self._values[node])


def _tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def main() -> int:
    """Drive one run; 0 if it came to its end, 1 with `{"problem": sentence}` as the last line otherwise."""
    parser = argparse.ArgumentParser(prog="demo_driver", description=__doc__)
    parser.add_argument("--recorder", required=True, help="name of the recorder's node")
    parser.add_argument(
        "--patience-s", type=float, default=60.0, help="how long the nodes may take to be ready"
    )
    parser.add_argument("topics", nargs="+", help="what the recorder must listen to")
    options = parser.parse_args()
    keep_output_clean()
    rclpy.init(args=[])
    try:
        DemoDriver(options.topics, options.recorder).play(options.patience_s)
    except RunProblemError as error:
        _tell(problem=str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 1
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
