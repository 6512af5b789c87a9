# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The tick process alone: a test in the place of the policy node, of its policy and of the robot."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from policy_rig import PARAMETERS, WAIT_S, merged
from scripted_policy import HORIZON, JOINTS, PERIOD_NS, SPEED, ScriptedPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.nodes.child import start_child
from lowlat_nodes.nodes.policy.messages import floats, pack, unpack
from lowlat_nodes.nodes.policy.processes import Wiring
from lowlat_nodes.nodes.realtime import RealtimeConfig
from lowlat_nodes.stream.config import build, flatten, to_flat
from lowlat_nodes.transport.channel import Channel

pytestmark = pytest.mark.ros

WIRING = Wiring("tick", "/", "/joint_states", "/commands", use_sim_time=False)


class Rig:
    """Everything around a tick process; `turn` keeps it going.

    Attributes:
        commands: Positions that came.
        launches: What the policy was asked with.
        heard: Messages to the policy node, by kind.
        answer: Makes the actions that a launch is answered with, as bytes.
    """

    def __init__(self, robot: Any, changes: dict[str, Any], accepts: tuple[str, ...] = ()) -> None:
        self._robot = robot
        self.commands: list[list[float]] = []
        self.launches: list[dict[str, Any]] = []
        self.heard: dict[str, list[dict[str, Any]]] = {}
        self.answer: Callable[[dict[str, Any]], bytes] = move
        self._states = robot.outside.create_publisher(JointState, "/joint_states", 1)
        robot.outside.create_subscription(
            Float64MultiArray, "/commands", lambda message: self.commands.append(list(message.data)), 1000
        )
        parameters = merged(PARAMETERS, changes)
        realtime = RealtimeConfig(**parameters.pop("realtime"))
        parameters.pop("diagnostic_updater")
        self.policy: Channel | None = None
        self.process, self.node = start_child("lowlat_nodes.nodes.policy.tick")
        self.tell(
            "setup",
            config=to_flat(build(ControlConfig, flatten(parameters))),
            spec=dataclasses.replace(ScriptedPolicy.spec, accepts=accepts).to_plain(),
            rows=0,
            state_fields=[],
            realtime=to_flat(realtime),
            **dataclasses.asdict(WIRING),
        )
        self.until(lambda: "ready" in self.heard)
        self.policy, theirs = Channel.pair()
        self.node.send(pack("policy", number=0, warm_ns=1_000_000), descriptor=theirs.fileno())
        theirs.close()

    def tell(self, kind: str, **content: Any) -> None:
        assert self.node.send(pack(kind, **content))

    def turn(self) -> None:
        """Be a robot that follows its commands, a node that listens and a policy that answers at once."""
        message = JointState(name=list(JOINTS), position=self.commands[-1] if self.commands else [0.0, 0.0])
        message.header.stamp = self._robot.outside.get_clock().now().to_msg()
        self._states.publish(message)
        self._robot.executor.spin_once(timeout_sec=0.005)
        with contextlib.suppress(OSError):  # one end is closed
            while (data := self.node.receive()) is not None:
                kind, content = unpack(data)
                self.heard.setdefault(kind, []).append(content)
            while self.policy is not None and (data := self.policy.receive()) is not None:
                self.policy.send(self._answered(unpack(data)[1]))

    def _answered(self, launch: dict[str, Any]) -> bytes:
        self.launches.append(launch)
        now_ns = time.monotonic_ns()
        times = {"started_ns": now_ns, "ended_ns": now_ns, "image_ns": 0}
        common = {"request": launch["request"], "refused": 0, "problem": ""}
        return pack("answer", **common, **times, actions=self.answer(launch))

    def until(self, condition: Callable[[], Any]) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline_s, f"it did not happen; {self.heard}"
            self.turn()

    def until_it_moves(self) -> None:
        seen = len(self.commands)
        self.until(lambda: max(self.speeds()[seen:], default=0.0) > 0.9 * SPEED)

    def until_it_ends(self) -> int:
        """Return the exit code, once every command has come."""
        self.until(lambda: self.process.poll() is not None)
        for _ in range(20):
            self.turn()
        return int(self.process.returncode)

    def speeds(self) -> list[float]:
        """Return the highest speed of a joint in each tick, rad/s."""
        steps = np.diff(np.array(self.commands).reshape(-1, len(JOINTS)), axis=0)
        return list(np.abs(steps).max(axis=1, initial=0.0) * PARAMETERS["tick_hz"])

    def close(self) -> None:
        self.node.close()
        if self.policy is not None:
            self.policy.close()
        self.process.wait(WAIT_S)


def move(launch: dict[str, Any]) -> bytes:
    steps = np.arange(1, HORIZON + 1)[:, None] * (PERIOD_NS * 1e-9)
    actions: np.ndarray = floats(launch["position"]) + SPEED * steps
    return actions.tobytes()


@pytest.fixture
def start(robot: Any) -> Iterator[Callable[..., Rig]]:
    """Starts a tick without cameras."""
    started: list[Rig] = []

    def make(changes: dict[str, Any] | None = None, **options: Any) -> Rig:
        started.append(Rig(robot, changes or {}, **options))
        return started[-1]

    yield make
    for each in started:
        each.close()


def test_whatever_fails_the_robot_is_brought_to_a_stand_first(
    start: Callable[..., Rig], capfd: pytest.CaptureFixture[str]
) -> None:
    rig = start()
    rig.tell("activate", number=1, start=True)
    rig.until_it_moves()
    moved = len(rig.commands)
    rig.answer = lambda _launch: bytes(3 * 8)  # rows of two joints come in multiples of 16 bytes
    assert rig.until_it_ends() == 1
    assert "cannot reshape" in capfd.readouterr().err
    assert len(rig.commands) > moved
    assert rig.speeds()[-1] <= 1e-9


def test_braking_takes_as_long_as_the_limits_ask_for(start: Callable[..., Rig]) -> None:
    rig = start({"limits": {"acceleration": [0.15]}})  # over two seconds from SPEED
    rig.tell("activate", number=1, start=True)
    rig.until_it_moves()
    rig.node.close()
    assert rig.until_it_ends() == 0
    assert rig.speeds()[-1] <= 1e-9


def test_what_is_counted_is_that_of_the_activation(start: Callable[..., Rig]) -> None:
    rig = start({"execution": {"strategy": "vlash"}})

    def told(activation: int) -> list[dict[str, Any]]:
        return [status for status in rig.heard.get("status", []) if status["activation"] == activation]

    rig.tell("activate", number=1, start=True)
    rig.until(
        lambda: any(s["counters"].get("chunks_scheduled") and s["limits"]["acceleration"] for s in told(1))
    )
    rig.tell("deactivate")
    rig.tell("activate", number=2, start=False)
    rig.until(lambda: any(status["served"] for status in told(2)))
    assert told(2)[0]["served"] in {"", "stopped"}
    for status in told(2):
        assert "chunks_scheduled" not in status["counters"]
        assert not any(status["limits"].values())


@pytest.mark.parametrize(
    ("strategy", "accepts", "told"),
    [
        ("vlash", (), set()),
        ("vlash", ("prefix",), set()),
        ("vlash", ("delay",), {"start_ns"}),
        ("rtc_trained", ("prefix",), {"decided", "committed"}),
        ("rtc", ("delay", "guidance"), {"start_ns", "decided", "committed"}),
    ],
)
def test_a_policy_is_told_what_it_accepts(
    start: Callable[..., Rig], strategy: str, accepts: tuple[str, ...], told: set[str]
) -> None:
    rig = start({"execution": {"strategy": strategy}}, accepts=accepts)
    rig.tell("activate", number=1, start=True)
    rig.until(lambda: any(told <= launch.keys() for launch in rig.launches[1:]))
    rig.until_it_moves()
    launch = rig.launches[-1]
    assert launch.keys() & {"start_ns", "decided", "committed"} == told
    if "start_ns" in told:
        assert 0 <= launch["start_ns"] - launch["launched_ns"] < PERIOD_NS * HORIZON
    if "decided" in told:
        decided = floats(launch["decided"], len(JOINTS))
        assert 1 <= launch["committed"] <= len(decided) <= HORIZON
        assert np.diff(decided, axis=0) == pytest.approx(SPEED * PERIOD_NS * 1e-9, rel=0.2)
