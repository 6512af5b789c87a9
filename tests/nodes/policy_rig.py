# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy node as a process, and a robot of two joints around it that tests can break in many ways."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from scripted_policy import HEIGHT, JOINTS, WIDTH
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

STATE_TIMEOUT_MS = IMAGE_TIMEOUT_MS = 1000.0
STANDING = 1e-6  # rad; a decay to a stand never ends
WAIT_S = 60.0
S = 1_000_000_000

PARAMETERS: dict[str, Any] = {
    "tick_hz": 50.0,
    "policy": {"kind": "python", "factory": "scripted_policy:make", "timeout_ms": 3000.0},
    "observation": {
        "joints": {"topic": "joint_states", "names": list(JOINTS), "timeout_ms": STATE_TIMEOUT_MS},
        "camera": {"image": {"topic": "image", "width": WIDTH, "height": HEIGHT}},
        "image_timeout_ms": IMAGE_TIMEOUT_MS,
    },
    "command": {"kind": "positions", "topic": "commands"},
    "execution": {"strategy": "vlash"},
    "limits": {"velocity": [2.0], "acceleration": [20.0]},
    "realtime": {"priority": 0, "lock_memory": False, "worker_nice": 0},
    "diagnostic_updater": {"period": 0.1},
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested parameters with some of them changed."""
    result = dict(base)
    for name, value in changes.items():
        result[name] = merged(base.get(name, {}), value) if isinstance(value, dict) else value
    return result


def children(pid: int) -> dict[str, int]:
    """Return the running children of a policy node by name, one of each."""
    return {name: child for child, name in kin(pid).items()}


def workers(pid: int) -> set[int]:
    """Return the running processes of a policy node that hold the policy."""
    return {child for child, name in kin(pid).items() if name == "policy_worker"}


def kin(pid: int) -> dict[int, str]:
    """Return the names of the running children of a policy node.

    One that is just being started is not among them: until it runs its own program, it looks like its parent.
    """
    found = {}
    gone = (FileNotFoundError, ProcessLookupError)  # threads and processes end while we look
    for task in Path(f"/proc/{pid}/task").iterdir():
        pids = ""
        with contextlib.suppress(*gone):
            pids = (task / "children").read_text()
        for child in pids.split():
            with contextlib.suppress(*gone):
                for part in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                    name = part.removeprefix("lowlat_nodes.nodes.").replace(".", "_")
                    if name in {"policy_tick", "policy_worker", "policy_corrector"}:
                        found[int(child)] = name
    return found


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(
    condition: Callable[[], Any], what: str = "what the test waits for", wait_s: float = WAIT_S
) -> None:
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)


class Robot:
    """Publishes joint states that follow the commands, and images; hears what the node says.

    Attributes:
        joints: Makes the next joint state, None for none.
        image: Makes the next image, None for none; bytes are published as they are.
        clock_ns: The simulated time; None for none.
    """

    def __init__(
        self, domain: int, command_kind: str, camera: ReliabilityPolicy, commands: ReliabilityPolicy
    ) -> None:
        self.context = Context()
        rclpy.init(
            args=[], context=self.context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self.node = rclpy.create_node("robot", context=self.context)
        self.joints: Callable[[], JointState | None] = self.good_joints
        self.image: Callable[[], Image | bytes | None] = self.good_image
        self.clock_ns: int | None = None
        self.position = [0.0, 0.0]
        self.commands: list[Any] = []
        self.reports = 0
        self.inferences: list[dict[str, Any]] = []
        self.status: Any = None  # the newest one; `values` are those in it
        self.values: dict[str, str] = {}
        self._joint_states = self.node.create_publisher(JointState, "joint_states", 1)
        self._images = self.node.create_publisher(Image, "image", QoSProfile(depth=1, reliability=camera))
        self._clock = self.node.create_publisher(Clock, "/clock", 1)
        self._task = self.node.create_publisher(String, "task", 1)
        # Before the subscription to the diagnostics: a node whose report was heard knows of these clients too
        # and drops none of its responses.
        self._clients = {
            name: self.node.create_client(kind, f"policy_node/{name}")
            for name, kind in (
                ("change_state", ChangeState),
                ("get_state", GetState),
                ("start", Trigger),
                ("stop", Trigger),
            )
        }
        kind = Float64MultiArray if command_kind == "positions" else JointTrajectory
        self.node.create_subscription(
            kind, "commands", self._on_command, QoSProfile(depth=1000, reliability=commands)
        )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.node.create_subscription(String, "policy_node/inferences", self._on_inference, 100)
        self.node.create_timer(0.02, self._publish_joints)
        self.node.create_timer(0.1, self._publish_image)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def now_ns(self) -> int:
        return time.time_ns() if self.clock_ns is None else self.clock_ns

    def good_joints(self) -> JointState:
        message = JointState(name=["gripper", *reversed(JOINTS)], position=[0.5, *reversed(self.position)])
        message.header.stamp = self.stamp()
        return message

    def good_image(self, width: int = WIDTH, height: int = HEIGHT, encoding: str = "rgb8") -> Image:
        message = Image(width=width, height=height, encoding=encoding, step=3 * width)
        message.data = bytes(3 * width * height)
        message.header.stamp = self.stamp()
        return message

    def stamp(self) -> Time:
        return Time(sec=self.now_ns() // S, nanosec=self.now_ns() % S)

    def set_task(self, text: str) -> None:
        until(self._task.get_subscription_count, "a subscription to the task")
        self._task.publish(String(data=text))

    def call(self, name: str, request: Any) -> Any:
        """Call a service of the node."""
        client = self._clients[name]
        until(lambda: self.reports and client.service_is_ready(), f"service {name}")
        call = client.call_async(request)
        until(call.done, f"an answer of {name}")
        return call.result()

    def count(self, name: str) -> int:
        return int(self.values.get(name, 0))

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not self._closing.is_set():
                self._executor.spin_once(timeout_sec=0.1)

    def _publish_joints(self) -> None:
        if self.clock_ns is not None:
            # A quarter as fast as the wall: who sleeps for a second on a busy machine has missed no jump.
            self.clock_ns += S // 200
            self._clock.publish(Clock(clock=self.stamp()))
        message = self.joints()
        if message is not None:
            self._joint_states.publish(message)

    def _publish_image(self) -> None:
        message = self.image()
        if message is not None:
            self._images.publish(message)

    def _on_command(self, message: Any) -> None:
        self.commands.append(message)
        points = getattr(message, "points", None)
        self.position = list(message.data if points is None else points[0].positions)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith("policy_node"):
                self.status = status
                self.values = {item.key: item.value for item in status.values}
                self.reports += 1

    def _on_inference(self, message: String) -> None:
        self.inferences.append(json.loads(message.data))


class Rig:
    """A robot and a policy node.

    Args:
        domain: ROS domain of both.
        folder: For the parameter file and logs.
        changes: Of the parameters.
        camera: What the camera offers.
        commands: What the robot asks for.
    """

    def __init__(
        self,
        domain: int,
        folder: Path,
        changes: dict[str, Any] | None = None,
        camera: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
        commands: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    ) -> None:
        parameters = merged(PARAMETERS, changes or {})
        path = folder / "policy.yaml"
        path.write_text(yaml.safe_dump({"policy_node": {"ros__parameters": parameters}}))
        environment = os.environ | {
            "ROS_DOMAIN_ID": str(domain),
            "ROS_LOG_DIR": str(folder / "ros_log"),
            "PYTHONPATH": str(Path(__file__).parent),
        }
        self._output = folder / "output.txt"
        program = [sys.executable, "-m", "lowlat_nodes.nodes.policy_node"]
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*program, "--ros-args", "--params-file", str(path)],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self.robot = Robot(domain, parameters["command"]["kind"], camera, commands)
        except BaseException:
            self.process.kill()
            raise

    @property
    def output(self) -> str:
        """Return what the node has printed."""
        return self._output.read_text()

    def until(self, condition: Callable[[], Any], what: str = "what the test waits for") -> None:
        """Wait while the node lives."""

        def alive_and_well() -> bool:
            assert self.process.poll() is None, f"the node ended:\n{self.output}"
            return bool(condition())

        try:
            until(alive_and_well, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.robot.values}\n{self.output}") from None

    def until_moving(self) -> None:
        """Wait until commands that come from now on lead on."""
        seen = len(self.robot.commands)
        self.until(
            lambda: (
                len(commands := self.robot.commands[seen:]) > 1
                and self.robot.values.get("served") == "chunk"
                and _position(commands[-1]) != _position(commands[0])
            ),
            "motion",
        )

    def until_held(self) -> None:
        """Wait until commands go on to come, and none moves the robot."""

        def held() -> bool:
            newest = [_position(command) for command in self.robot.commands[-10:]]
            return len(newest) == 10 and bool(np.ptp(newest, axis=0).max() < STANDING)

        del self.robot.commands[:]
        self.until(held, "a stand")

    def until_silent(self) -> None:
        """Wait until no command comes between two reports: those of before have been heard."""
        heard = (-1, -1)

        def silent() -> bool:
            nonlocal heard
            reports, commands = self.robot.reports, len(self.robot.commands)
            if heard[1] != commands:
                heard = (reports, commands)
            return reports >= heard[0] + 2

        self.until(silent, "silence")

    def until_counted(self, name: str, more: int = 1) -> None:
        """Wait until something is counted that often from now on."""
        before = self.robot.count(name)
        self.until(lambda: self.robot.count(name) >= before + more, f"a count of {name}")

    def change(self, label: str) -> bool:
        """Take the node through a transition."""
        transition = Transition(id=getattr(Transition, f"TRANSITION_{label.upper()}"))
        request = ChangeState.Request(transition=transition)
        return bool(self.robot.call("change_state", request).success)

    def state(self) -> str:
        return str(self.robot.call("get_state", GetState.Request()).current_state.label)

    def trigger(self, order: str) -> Trigger.Response:
        return self.robot.call(order, Trigger.Request())

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)

    def close(self) -> None:
        """End what is left."""
        left = kin(self.process.pid) if self.process.poll() is None else {}
        self.process.kill()
        self.process.wait()
        self.robot.close()
        until(lambda: not any(map(runs, left)), "the end of the node's processes")


def _position(command: Any) -> list[float]:
    points = getattr(command, "points", None)
    return list(command.data if points is None else points[-1].positions)
