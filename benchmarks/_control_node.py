# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node as a process, switched on and off and watched from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

from lowlat_nodes.benchmarks._control_policies import IMAGE, JOINTS
from lowlat_nodes.benchmarks._control_robot import COMMAND_TOPIC, IMAGE_TOPIC, JOINT_TOPIC

_NAME = "policy_node"
_PATIENCE_S = 60.0
_REPORTS = 7  # the tick process brings one of five figures up to date at a time
REPORT_S = 0.2


class NodeUnderTest:
    """One policy node, configured and inactive at first.

    Args:
        parameters: Its ROS parameters.
        folder: For the parameter file.

    Attributes:
        values: The newest diagnostics.
        inferences: What it told of each inference since this list was made or cleared.
        pid: Number of its process.
    """

    def __init__(self, parameters: Mapping[str, Any], folder: Path) -> None:
        self.values: dict[str, str] = {}
        self.inferences: list[dict[str, Any]] = []
        self._reports = 0
        self._node = rclpy.create_node("control_benchmark")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._node.create_subscription(String, f"/{_NAME}/inferences", self._on_inference, 100)
        self._client = self._node.create_client(ChangeState, f"/{_NAME}/change_state")
        path = folder / "policy_node.yaml"
        path.write_text(yaml.safe_dump({_NAME: {"ros__parameters": dict(parameters)}}), encoding="utf-8")
        command = [sys.executable, "-m", "lowlat_nodes.nodes.policy_node"]
        self._process = subprocess.Popen(
            [*command, "--ros-args", "--params-file", str(path), "--log-level", "warn"]
        )
        self.pid = self._process.pid
        try:
            self.change("configure")
        except BaseException:
            self.close()
            raise

    def change(self, label: str) -> None:
        """Take it through a transition of its life cycle."""
        request = ChangeState.Request()
        request.transition.id = getattr(Transition, f"TRANSITION_{label.upper()}")
        self.wait(self._client.service_is_ready)
        future = self._client.call_async(request)
        self.wait(future.done)
        if not future.result().success:
            raise RuntimeError(f"the policy node refused to {label}; its output says why")

    def count(self, name: str) -> int:
        """Return a count of the newest diagnostics, 0 for what never happened."""
        return int(self.values.get(name, 0))

    def kill_worker(self) -> None:
        """End the policy's process as a crash or the kernel would."""
        os.kill(_child(self._process.pid, "nodes.policy.worker"), signal.SIGKILL)

    def wait_for_inference(self, *, launched_after_ns: int) -> int:
        """Wait for the answer to a launch after a time; return when it came. System time, nanoseconds."""

        def newest() -> dict[str, Any]:
            return self.inferences[-1] if self.inferences else {"launched_ns": 0}

        self.wait(lambda: newest()["launched_ns"] > launched_after_ns)
        return int(newest()["received_ns"])

    def spin(self, seconds: float) -> None:
        """Let time pass."""
        end_s = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= end_s, patience_s=seconds + _PATIENCE_S)

    def refresh(self) -> None:
        """Wait until the diagnostics cover everything until now."""
        seen = self._reports + _REPORTS
        self.wait(lambda: self._reports >= seen)

    def wait(self, condition: Callable[[], object], *, patience_s: float = _PATIENCE_S) -> None:
        """Spin until something is the case."""
        deadline_s = time.monotonic() + patience_s
        while not condition():
            if self._process.poll() is not None:
                raise RuntimeError(f"the policy node ended with status {self._process.returncode}")
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no progress within {patience_s:g} s; last diagnostics: {self.values}")
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """End the node."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._executor.shutdown()
        self._node.destroy_node()

    def _on_inference(self, message: Any) -> None:
        self.inferences.append(json.loads(message.data))

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.startswith(f"{_NAME}:"):
                self.values = {item.key: item.value for item in status.values}
                self._reports += 1


def busy_parameters(worker: str, tick_hz: float, *, priority: int, standby: bool = True) -> dict[str, Any]:
    """Return the parameters of a node with a busy policy.

    Args:
        worker: Which policy of `_control_policies`.
        tick_hz: Rate of commands.
        priority: Of the tick; 0 for the normal scheduler.
        standby: Whether a second thread stands by.
    """
    camera = {"topic": IMAGE_TOPIC, "width": IMAGE.width, "height": IMAGE.height}
    return {
        "autostart": False,
        "tick_hz": tick_hz,
        "policy": {
            "kind": "python",
            "factory": f"lowlat_nodes.benchmarks._control_policies:{worker}_policy",
        },
        "observation": {
            "joints": {"topic": JOINT_TOPIC, "names": list(JOINTS)},
            "camera": {"image": camera},
        },
        "command": {"kind": "positions", "topic": COMMAND_TOPIC},
        "execution": {"strategy": "vlash"},
        "limits": {"lower": [-2.0], "upper": [2.0], "velocity": [3.0], "acceleration": [50.0]},
        "realtime": {"priority": priority, "standby": standby},
        "diagnostic_updater": {"period": REPORT_S},
    }


def _child(pid: int, module: str) -> int:
    """Return the child of a process that runs a module of this name."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            if module in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8"):
                return int(child)
    raise RuntimeError(f"process {pid} has no child that runs {module}")
