# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot as others on ROS see it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger

from lowlat_nodes.control.urdf import read_joints
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.nodes.sim_arm_node import SimArmNode
from lowlat_nodes.sim.arm import HOME_RAD, JOINT_RANGE_RAD
from lowlat_nodes.sim.kinematics import JOINT_NAMES

pytestmark = [pytest.mark.ros, pytest.mark.sim]

LATCHED = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Session:
    """The node under test, and one that listens to it."""

    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self.peer: Node = rclpy.create_node("peer")
        self.nodes: list[Any] = [self.peer]
        self.executor.add_node(self.peer)

    def start(self, **parameters: Any) -> SimArmNode:
        # Slow rates: a busy machine must keep up, or nothing here would come.
        # No priority: these are the threads of the test runner.
        values = {"joint_rate_hz": 50.0, "image_rate_hz": 10.0, "priority": 0} | parameters
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = SimArmNode(overrides=overrides)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def listen(self, kind: type, topic: str, profile: QoSProfile) -> list[Any]:
        heard: list[Any] = []
        self.peer.create_subscription(kind, topic, heard.append, profile)
        return heard

    def spin_until(self, condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "what the test waits for did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def call_start(self) -> Trigger.Response:
        client = self.peer.create_client(Trigger, "reaction/start")
        self.spin_until(client.service_is_ready)
        answer = client.call_async(Trigger.Request())
        self.spin_until(answer.done)
        return answer.result()


@pytest.fixture
def session() -> Iterator[Session]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    made = Session()
    yield made
    for node in reversed(made.nodes):
        node.destroy_node()
    made.executor.shutdown()
    rclpy.try_shutdown()


def asked(heard: list[String]) -> list[dict[str, Any]]:
    """Return the events without those of decoys."""
    events = [json.loads(message.data) for message in heard]
    return [event for event in events if event.get("asked", True)]


def kinds(heard: list[String]) -> list[str]:
    return [event["event"] for event in asked(heard)]


def stamp_ns(message: Any) -> int:
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def test_sensors_are_published_with_names_frames_and_evenly_spaced_stamps(session: Session) -> None:
    joints = session.listen(JointState, "joint_states", qos_profile_sensor_data)
    images = session.listen(Image, "camera/image", qos_profile_sensor_data)
    task = session.listen(String, "task", LATCHED)
    assert session.start(image_width_px=64, image_height_px=48).start()

    session.spin_until(lambda: len(joints) >= 20 and len(images) >= 4 and task)
    # Best effort may lose some of either, so that it takes a while until both of one instant have come.
    session.spin_until(lambda: set(map(stamp_ns, images)) & set(map(stamp_ns, joints)))

    assert tuple(joints[0].name) == JOINT_NAMES
    assert len(joints[0].position) == len(joints[0].velocity) == 3
    assert joints[0].position == pytest.approx(HOME_RAD, abs=0.01)
    image = images[-1]
    assert (image.width, image.height, image.encoding) == (64, 48, "rgb8")
    assert joints[0].header.frame_id == image.header.frame_id == "table"
    assert task[0].data == "touch the red light"
    spacing_ms = np.diff([stamp_ns(message) for message in joints]) / 1e6
    assert spacing_ms.min() > 15.0  # 20 ms of simulated time apart, however late they were sent


def test_whoever_comes_late_gets_the_description_of_the_arm(session: Session) -> None:
    assert session.start().start()
    texts = session.listen(String, "robot_description", LATCHED)
    session.spin_until(lambda: texts)
    joints = read_joints(texts[0].data, JOINT_NAMES)
    assert [(joint.lower, joint.upper) for joint in joints] == list(JOINT_RANGE_RAD)


def test_the_arm_follows_the_newest_command_and_holds_it(session: Session) -> None:
    joints = session.listen(JointState, "joint_states", qos_profile_sensor_data)
    commands = session.peer.create_publisher(Float64MultiArray, "arm/commands", 1)
    assert session.start().start()
    goal = [HOME_RAD[0] + 0.4, HOME_RAD[1] - 0.3, HOME_RAD[2]]
    session.spin_until(lambda: commands.get_subscription_count() == 1)
    commands.publish(Float64MultiArray(data=goal))

    session.spin_until(lambda: joints and np.allclose(joints[-1].position, goal, atol=0.02))


def test_wrong_commands_are_counted_and_change_nothing(session: Session) -> None:
    commands = session.peer.create_publisher(Float64MultiArray, "arm/commands", 1)
    joints = session.listen(JointState, "joint_states", qos_profile_sensor_data)
    node = session.start()
    assert node.start()
    session.spin_until(lambda: commands.get_subscription_count() == 1)

    for count, wrong in enumerate(([0.0, 0.0], [float("nan")] * 3, []), 1):
        commands.publish(Float64MultiArray(data=wrong))
        session.spin_until(lambda count=count: node.report().values["commands_refused"] == count)

    assert "expected 3 finite joint targets" in str(node.report().values["last_failure"])
    session.spin_until(lambda: joints)
    assert joints[-1].position == pytest.approx(HOME_RAD, abs=0.01)


def test_a_schedule_plays_and_late_listeners_hear_all_of_it(session: Session) -> None:
    node = session.start(**{"lights.targets": 1, "lights.seed": 3, "lights.window_ms": 200.0})
    assert node.start()

    for plays in itertools.count(1):
        skipped = node.report().values["steps_skipped"]
        answer = session.call_start()
        assert answer.success
        assert answer.message.startswith("1 targets in")
        heard = session.listen(String, "reaction/events", LATCHED)
        session.spin_until(lambda heard=heard, plays=plays: kinds(heard).count("end") == plays)
        assert kinds(heard) == ["start", "on", "miss", "end"] * plays
        if node.report().values["steps_skipped"] == skipped:
            break  # else the simulation slept, maybe while the light burned: once more
    start, on, miss, _ = asked(heard)[-4:]
    assert start["seed"] == 3
    assert miss["stamp_ns"] - on["stamp_ns"] == pytest.approx(200e6, abs=45e6)

    assert session.call_start().success  # and it can be started again


def test_lights_that_burn_are_not_started_again(session: Session) -> None:
    assert session.start(**{"lights.targets": 1000}).start()

    assert session.call_start().success
    again = session.call_start()

    assert not again.success
    assert "burning already" in again.message


def test_diagnostics_say_that_this_is_simulated(session: Session) -> None:
    node = session.start()
    assert node.start()
    session.spin_until(lambda: int(node.report().values["steps"]) >= 10)

    values = node.report().values

    assert values["simulated"] == "true"
    assert values["state"] == "active"
    assert 0.0 < float(values["real_time_factor"]) <= 1.1


def test_an_inactive_node_publishes_nothing_and_refuses_to_start(session: Session) -> None:
    joints = session.listen(JointState, "joint_states", qos_profile_sensor_data)
    node = session.start()
    assert node.start()
    session.spin_until(lambda: len(joints) >= 3)
    node.trigger_deactivate()
    session.spin_until(lambda: session.peer.count_publishers("joint_states") == 0)
    for _ in range(10 * qos_profile_sensor_data.depth):  # what was sent before
        session.executor.spin_once(timeout_sec=0.0)
    answer = session.call_start()
    count = len(joints)

    assert not answer.success
    assert "this one is inactive" in answer.message
    session.call_start()
    assert len(joints) == count
    node.trigger_activate()
    session.spin_until(lambda: len(joints) > count)


def test_an_image_that_is_not_four_by_three_is_refused(session: Session) -> None:
    node = session.start(image_width_px=100, image_height_px=100)

    assert not node.start()
    assert "expected a 4:3 image" in node.problem


def test_other_lights_may_be_asked_for_while_active(session: Session) -> None:
    node = session.start(**{"lights.targets": 5})
    assert node.start()
    [result] = node.set_parameters([Parameter("lights.targets", value=2)])
    assert result.successful

    assert session.call_start().message.startswith("2 targets in")


def test_a_simulation_that_breaks_is_reported_as_an_error(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = session.start()
    assert node.start()
    session.spin_until(lambda: node.report().level is not Level.ERROR)

    def broken(*_: Any) -> None:
        raise RuntimeError("gears")

    monkeypatch.setattr("lowlat_nodes.sim.world.World.advance", broken)

    session.spin_until(lambda: node.report().level is Level.ERROR)
    assert "the simulation has stopped: RuntimeError: gears" in node.report().summary
