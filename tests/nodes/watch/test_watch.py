# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is seen of a real ROS graph: publishers in this process, and the watch beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, Header, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from lowlat_nodes.nodes.diagnostics import DiagnosticSettings, DiagnosticsPublisher, Level, Report
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.nodes.watch.watch import Watch
from lowlat_nodes.sim.arm import HOME_RAD, ArmConfig, urdf
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.transport import cdr

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Looker:
    """A watch whose turns a test makes."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.watch = Watch(lambda *status: self.heard.append(status))
        self._stop = StopRequest()

    def turn(self, *, watched: bool = True) -> None:
        self.watch.listen(0.02, self._stop)
        self.watch.poll(watched=watched)

    def until(self, condition: Callable[[], Any], each: Callable[[], Any] = bool) -> Any:
        """Look until a condition holds, and do something at each turn."""
        deadline = time.monotonic() + 60.0
        while not (result := condition()):
            assert time.monotonic() < deadline, "what the test waits for did not happen"
            each()
            self.turn()
        return result

    def close(self) -> None:
        self.watch.close()
        self._stop.close()


@pytest.fixture
def looker(ros_domain_id: int) -> Iterator[Looker]:
    made = Looker()
    yield made
    made.close()


def image(number: int, encoding: str = "rgb8") -> Image:
    header = Header(stamp=Time(sec=number), frame_id="optical")
    return Image(header=header, height=2, width=2, encoding=encoding, step=6, data=bytes(12))


def test_who_is_there_and_what_connects_them(robot: Any, looker: Looker) -> None:
    node = robot.outside
    node.create_publisher(String, "said", 1)
    node.create_subscription(String, "heard", lambda _message: None, 1)
    other = robot.add(type(node)("other", namespace="left"))
    other.create_subscription(String, "/said", lambda _message: None, 1)
    looker.until(lambda: any(looker.watch.graph().streams()))
    graph = looker.watch.graph()
    assert graph.nodes == ("/left/other", "/outside")
    assert [(s.source, s.target, s.topic, s.type_name) for s in graph.streams()] == [
        ("/outside", "/left/other", "/said", "std_msgs/msg/String")
    ]
    assert "/rosout" not in graph.topics
    assert "/diagnostics" not in graph.topics
    assert looker.watch.present() >= {"/left/other", "/outside"}


def test_reports_are_heard_and_a_restart_is_told_by_who_reports(robot: Any, looker: Looker) -> None:
    def start() -> Any:
        node = robot.add(type(robot.outside)("arm", namespace="left"))
        return node, DiagnosticsPublisher(
            node, "motion", lambda: Report(Level.WARN, "slow"), DiagnosticSettings()
        )

    node, publisher = start()
    looker.until(lambda: looker.heard, publisher.publish)
    assert looker.heard[0][:3] == ("arm: motion", 1, "slow")
    [first] = looker.until(lambda: looker.watch.reporters().get("/left/arm"))
    robot.executor.remove_node(node)
    robot.nodes.remove(node)
    node.destroy_node()
    start()
    looker.until(lambda: looker.watch.reporters().get("/left/arm", set()) - {first})


def test_frames_come_while_somebody_looks(robot: Any, looker: Looker) -> None:
    publisher = robot.outside.create_publisher(Image, "camera/image", 1)
    numbers = iter(range(1, 1_000_000))

    def publish() -> None:
        publisher.publish(image(next(numbers)))

    def camera() -> Any:
        return next(iter(looker.watch.cameras()), None)

    looker.turn(watched=False)
    assert not looker.watch.cameras()
    looker.until(lambda: camera() and camera().frame, publish)
    seen = camera()
    assert (seen.index, seen.topic, seen.detector, seen.trouble) == (0, "/camera/image", "", "")
    assert seen.frame.image.data.shape == (2, 2, 3)
    assert looker.watch.frame(0) is seen.frame
    assert looker.watch.frame(1) is None
    looker.until(lambda: camera().frame.sequence > 1, publish)
    assert publisher.get_subscription_count() == 1


def test_nobody_is_subscribed_to_once_nobody_looks(robot: Any, looker: Looker) -> None:
    node = robot.outside
    publishers = [
        node.create_publisher(Image, "image", 1),
        node.create_publisher(JointState, "joint_states", 1),
        node.create_publisher(String, "results", 1),
    ]
    looker.until(lambda: all(publisher.get_subscription_count() for publisher in publishers))
    deadline = time.monotonic() + 60.0
    while any(publisher.get_subscription_count() for publisher in publishers):
        assert time.monotonic() < deadline
        looker.turn(watched=False)


def test_a_frame_is_shown_with_what_was_found_in_it(robot: Any, looker: Looker) -> None:
    vision = pytest.importorskip("vision_msgs.msg")
    node = robot.outside
    images = node.create_publisher(Image, "image", 1)
    detector = robot.add(type(node)("detector"))
    detector.create_subscription(Image, "image", lambda _message: None, 1)
    drawn = detector.create_publisher(Image, "detector/debug_image", 1)
    found = detector.create_publisher(vision.Detection2DArray, "detector/detections", 10)
    numbers = iter(range(1, 1_000_000))

    def publish() -> None:
        number = next(numbers)
        images.publish(image(number))
        rows = np.array([[1, 2, 3, 4, 0.5, 0]], np.float32)
        payload = Detections(rows, (f"frame {number}",), np.array([number]))
        found.publish(cdr.encode("vision_msgs/msg/Detection2DArray", number * 10**9, "optical", payload))

    def newest() -> Any:
        cameras = looker.watch.cameras()
        frame = cameras[0].frame if len(cameras) == 1 else None
        return frame if frame is not None and frame.detections is not None else None

    for _ in range(3):
        frame = looker.until(newest, publish)
        assert frame.detections.names == (f"frame {frame.stamp_ns // 10**9}",)
        assert frame.detections_stamp_ns == frame.stamp_ns
        looker.until(lambda former=frame: newest() and newest().sequence > former.sequence, publish)
    [camera] = looker.watch.cameras()
    assert (camera.topic, camera.detector) == ("/image", "/detector")
    assert not drawn.get_subscription_count()


def test_without_news_from_the_detector_frames_are_shown_all_the_same(robot: Any, looker: Looker) -> None:
    vision = pytest.importorskip("vision_msgs.msg")
    node = robot.outside
    images = node.create_publisher(Image, "image", 1)
    detector = robot.add(type(node)("detector"))
    detector.create_subscription(Image, "image", lambda _message: None, 1)
    detector.create_publisher(vision.Detection2DArray, "detector/detections", 10)
    numbers = iter(range(1, 1_000_000))

    def shown() -> Any:
        cameras = looker.watch.cameras()
        return cameras and cameras[0].detector and cameras[0].frame

    frame = looker.until(shown, lambda: images.publish(image(next(numbers))))
    assert frame.detections is None
    looker.until(lambda: shown().sequence > frame.sequence, lambda: images.publish(image(next(numbers))))


def test_at_most_four_cameras_and_what_cannot_be_read_says_so(robot: Any, looker: Looker) -> None:
    node = robot.outside
    publishers = [node.create_publisher(CompressedImage, f"camera_{number}", 1) for number in range(6)]
    broken = node.create_publisher(Image, "a_broken_one", 1)
    looker.until(lambda: len(looker.watch.cameras()) == 4)
    looker.until(
        lambda: any("expected 24 rows" in camera.trouble for camera in looker.watch.cameras()),
        lambda: broken.publish(Image(height=24, width=2, encoding="rgb8", step=6, data=bytes(12))),
    )
    assert [camera.index for camera in looker.watch.cameras()] == [0, 1, 2, 3]
    del publishers


def test_an_arm_with_its_commands_and_its_outline(robot: Any, looker: Looker) -> None:
    node = robot.outside
    states = node.create_publisher(JointState, "joint_states", 1)
    node.create_subscription(Float64MultiArray, "arm/commands", lambda _message: None, 1)
    commands = node.create_publisher(Float64MultiArray, "arm/commands", 1)
    described = node.create_publisher(String, "robot_description", LATCHED)
    described.publish(String(data=urdf(ArmConfig())))

    def publish() -> None:
        states.publish(JointState(name=list(JOINT_NAMES), position=list(HOME_RAD)))
        commands.publish(Float64MultiArray(data=[0.1, 0.2, 0.3]))

    def arm() -> Any:
        arms = looker.watch.arms()
        return arms and arms[0].outline is not None and arms[0].commands is not None and arms[0]

    found = looker.until(arm, publish)
    assert (found.topic, tuple(found.names)) == ("/joint_states", JOINT_NAMES)
    assert found.positions.tolist() == list(HOME_RAD)
    assert found.commands.tolist() == [0.1, 0.2, 0.3]
    assert found.outline.shape == (4, 3)
    described.publish(String(data="no description"))
    looker.until(lambda: looker.watch.arms() and looker.watch.arms()[0].outline is None, publish)


def test_commands_with_names_are_put_in_the_order_of_the_joints(robot: Any, looker: Looker) -> None:
    node = robot.outside
    states = node.create_publisher(JointState, "joint_states", 1)
    node.create_subscription(JointTrajectory, "commands", lambda _message: None, 1)
    commands = node.create_publisher(JointTrajectory, "commands", 1)

    def publish() -> None:
        states.publish(JointState(name=["a", "b", "c"], position=[1.0, 2.0, 3.0]))
        point = JointTrajectoryPoint(positions=[0.3, 0.1])
        commands.publish(JointTrajectory(joint_names=["c", "a"], points=[point]))

    def arm() -> Any:
        arms = looker.watch.arms()
        return arms and arms[0].commands is not None and arms[0]

    assert np.array_equal(looker.until(arm, publish).commands, [0.1, np.nan, 0.3], equal_nan=True)


def test_alerts_come_with_their_light_curves_where_the_node_tells_them(robot: Any, looker: Looker) -> None:
    node = robot.outside
    results = node.create_publisher(String, "outside/results", 10)
    curves = node.create_publisher(String, "outside/light_curves", 10)
    other = robot.add(type(node)("bridge")).create_publisher(String, "far/results", 10)
    numbers = iter(range(1_000_000))

    def publish() -> None:
        number = next(numbers)
        alert = {"object_id": f"n{number}", "best": "AGN", "p": {}}
        results.publish(String(data=json.dumps(alert)))
        curves.publish(String(data=json.dumps(alert | {"light_curve": {}})))
        for text in ("rubbish", "[" * 5000, '{"object_id": 1}', json.dumps(alert)):
            other.publish(String(data=text))

    looker.until(lambda: len({alert.node for alert in looker.watch.alerts()}) == 2, publish)
    looker.until(lambda: len(looker.watch.alerts()) == 12, publish)
    looker.until(lambda: curves.get_subscription_count() == other.get_subscription_count() == 1)
    for alert in looker.watch.alerts():
        assert alert.node in {"/outside", "/bridge"}
        assert alert.fields["object_id"].startswith("n")
    newest = next(alert for alert in looker.watch.alerts() if alert.node == "/outside")
    assert "light_curve" in newest.fields
    assert not results.get_subscription_count()
