# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Sources and sinks against plain rclpy publishers and subscriptions, over real DDS."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from builtin_interfaces.msg import Duration, Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage as RosCompressedImage
from sensor_msgs.msg import Image as RosImage
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from lowlat_nodes import resources
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.endpoint import UnknownOutput
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import NO_FLOATS, Detections, Image, Joints, Text, Trajectory
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr, segments
from lowlat_nodes.transport.ros import Input, Output, RosSink, RosSource, message_type, prepare_process
from lowlat_nodes.transport.ros.topics import choose_reliability
from lowlat_nodes.transport.segments import PROFILE_VARIABLES

pytestmark = pytest.mark.ros

IMAGE = "sensor_msgs/msg/Image"
JOINTS = "sensor_msgs/msg/JointState"
FLOATS = "std_msgs/msg/Float64MultiArray"
STRING = "std_msgs/msg/String"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


class Session:
    """Nodes that are spun together, and what a source among them delivered."""

    def __init__(self, *, own_thread: bool) -> None:
        self.own_thread = own_thread
        self.executor = SingleThreadedExecutor()
        self.nodes: list[Node] = []
        self.sources: list[RosSource] = []
        self.delivered: list[Message] = []
        self.talker = self.node("talker")

    def node(self, name: str, **options: Any) -> Node:
        node = rclpy.create_node(name, **options)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def listen(self, config: Input, *, node: Node | None = None, **options: Any) -> RosSource:
        node = node or self.node("listener")
        source = RosSource(node, "in", config, own_thread=self.own_thread, **options)
        self.sources.append(source)
        source.start(self.delivered.append)
        return source

    def spin_until(self, condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "what the test waits for did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def spin_for(self, duration_s: float) -> None:
        deadline = time.monotonic() + duration_s
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)

    def publish_until(self, publisher: Any, message: Any, condition: Callable[[], Any]) -> None:
        """Publish a message again and again: a best-effort one, or the first after a match, may get lost."""

        def again() -> bool:
            publisher.publish(message)
            return bool(condition())

        self.spin_until(again)


@pytest.fixture(params=[False, True], ids=["executor", "own_thread"])
def session(request: pytest.FixtureRequest, ros_domain_id: int) -> Iterator[Session]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    made = Session(own_thread=request.param)
    yield made
    for source in made.sources:
        source.stop()
    made.executor.shutdown()
    for node in made.nodes:
        node.destroy_node()
    rclpy.shutdown()


def ros_image(stamp: Time) -> RosImage:
    image = RosImage(height=4, width=6, encoding="rgb8", step=18, data=PIXELS.tobytes())
    image.header.stamp = stamp
    image.header.frame_id = "camera"
    return image


def test_an_image_arrives_as_a_view_with_its_stamp_and_frame(session: Session) -> None:
    session.listen(Input(topic="image", type_name=IMAGE))
    publisher = session.talker.create_publisher(RosImage, "image", 1)
    session.publish_until(publisher, ros_image(Time(sec=7, nanosec=9)), lambda: session.delivered)
    message = session.delivered[0]
    assert message.topic == "in"
    assert message.trace.capture_ns == 7_000_000_009
    assert message.trace.received_ns > message.trace.capture_ns
    assert message.frame_id == "camera"
    assert message.payload.encoding == "rgb8"
    assert np.array_equal(message.payload.data, PIXELS)
    assert not message.payload.data.flags.owndata


def test_messages_are_numbered(session: Session) -> None:
    session.listen(Input(topic="joint_states", type_name=JOINTS))
    publisher = session.talker.create_publisher(JointState, "joint_states", 1)
    state = JointState(name=["a"], position=[1.5])
    session.publish_until(publisher, state, lambda: len(session.delivered) >= 3)
    assert [message.sequence for message in session.delivered[:3]] == [0, 1, 2]
    assert session.delivered[0].payload.position.tolist() == [1.5]


def test_a_type_without_header_has_no_capture_time(session: Session) -> None:
    session.listen(Input(topic="task", type_name=STRING))
    publisher = session.talker.create_publisher(String, "task", 1)
    session.publish_until(publisher, String(data="pick"), lambda: session.delivered)
    message = session.delivered[0]
    assert message.payload.data == "pick"
    assert message.trace.capture_ns == 0
    assert message.trace.age_ns(message.trace.received_ns) == 0


def test_malformed_bytes_are_counted_and_the_next_message_arrives(session: Session) -> None:
    source = session.listen(Input(topic="jpeg", type_name="sensor_msgs/msg/CompressedImage"))
    publisher = session.talker.create_publisher(RosCompressedImage, "jpeg", 1)
    good = serialize_message(RosCompressedImage(format="jpeg", data=b"0123456789"))
    session.publish_until(publisher, good[:20], lambda: source.drops["malformed"])
    assert not session.delivered
    assert "in: " in source.last_failure
    session.publish_until(publisher, good, lambda: session.delivered)
    assert source.received == source.drops["malformed"] + len(session.delivered)


def test_what_is_no_image_at_all_does_no_harm(session: Session) -> None:
    session.listen(Input(topic="image", type_name=IMAGE))
    publisher = session.talker.create_publisher(RosImage, "image", 1)
    good = serialize_message(ros_image(Time(sec=7)))
    for _ in range(5):
        publisher.publish(good[:40])
        session.spin_for(0.02)
    session.publish_until(publisher, good, lambda: session.delivered)
    assert np.array_equal(session.delivered[0].payload.data, PIXELS)


def test_an_image_whose_size_lies_is_counted(session: Session) -> None:
    source = session.listen(Input(topic="image", type_name=IMAGE))
    publisher = session.talker.create_publisher(RosImage, "image", 1)
    lying = ros_image(Time(sec=7))
    lying.height = 400
    session.publish_until(publisher, lying, lambda: source.drops["malformed"])
    assert "expected 400 rows x 18 = 7200 bytes, got 72" in source.last_failure


def test_a_publisher_that_leaves_is_no_malformed_message(session: Session) -> None:
    source = session.listen(Input(topic="image", type_name=IMAGE))
    for _ in range(2):
        publisher = session.talker.create_publisher(RosImage, "image", 1)
        count = len(session.delivered)
        session.publish_until(publisher, ros_image(Time(sec=1)), lambda: len(session.delivered) > count)  # noqa: B023
        session.talker.destroy_publisher(publisher)
        session.spin_for(0.3)
    assert source.drops.snapshot() == {}


def test_old_messages_are_dropped_on_arrival(session: Session) -> None:
    clock = ManualClock(10_000_000_000)
    source = session.listen(Input(topic="image", type_name=IMAGE, max_age_ms=500.0), clock=clock)
    publisher = session.talker.create_publisher(RosImage, "image", 1)
    session.publish_until(publisher, ros_image(Time(sec=9)), lambda: source.drops["stale"])
    assert not session.delivered
    session.publish_until(publisher, ros_image(Time(sec=9, nanosec=600_000_000)), lambda: session.delivered)


def test_nothing_is_delivered_after_stop(session: Session) -> None:
    source = session.listen(Input(topic="task", type_name=STRING))
    publisher = session.talker.create_publisher(String, "task", 1)
    session.publish_until(publisher, String(data="pick"), lambda: session.delivered)
    source.stop()
    session.delivered.clear()
    for _ in range(5):
        publisher.publish(String(data="place"))
        session.spin_for(0.02)
    assert not session.delivered
    assert source.reliability == ""
    source.start(session.delivered.append)
    session.publish_until(publisher, String(data="place"), lambda: session.delivered)


def test_a_thread_of_its_own_survives_what_it_delivers_to(session: Session) -> None:
    if not session.own_thread:
        pytest.skip("in an executor that is for whoever spins it")
    source, delivered = session.listen(Input(topic="task", type_name=STRING)), session.delivered
    source.stop()

    def fail_first(message: Message) -> None:
        delivered.append(message)
        if len(delivered) == 1:
            raise ValueError("not this one")

    source.start(fail_first)
    publisher = session.talker.create_publisher(String, "task", 1)
    session.publish_until(publisher, String(data="pick"), lambda: len(delivered) >= 2)


def test_a_message_type_that_is_not_installed_is_refused() -> None:
    for name in ("no_such_msgs/msg/Thing", "std_msgs/msg/Thing", "nonsense"):
        with pytest.raises(ConfigurationError, match=name):
            message_type(name)


# Quality of service


@pytest.mark.parametrize(
    ("wanted", "type_name", "offered", "expected"),
    [
        ("auto", IMAGE, (), RELIABLE),
        ("auto", IMAGE, (RELIABLE,), RELIABLE),
        ("auto", IMAGE, (BEST_EFFORT,), BEST_EFFORT),
        ("auto", IMAGE, (RELIABLE, BEST_EFFORT), BEST_EFFORT),
        ("auto", STRING, (RELIABLE,), RELIABLE),
        ("auto", JOINTS, (), BEST_EFFORT),
        ("auto", JOINTS, (RELIABLE,), BEST_EFFORT),
        ("auto", FLOATS, (RELIABLE,), BEST_EFFORT),
        ("reliable", JOINTS, (BEST_EFFORT,), RELIABLE),
        ("best_effort", IMAGE, (RELIABLE,), BEST_EFFORT),
    ],
)
def test_the_choice_of_reliability(
    wanted: str, type_name: str, offered: tuple[ReliabilityPolicy, ...], expected: ReliabilityPolicy
) -> None:
    assert choose_reliability(wanted, type_name, offered) == expected


def test_auto_follows_a_best_effort_publisher_that_comes_later(session: Session) -> None:
    source = session.listen(Input(topic="image", type_name=IMAGE))
    assert source.reliability == "reliable"
    publisher = session.talker.create_publisher(
        RosImage, "image", QoSProfile(depth=1, reliability=BEST_EFFORT)
    )
    session.publish_until(publisher, ros_image(Time(sec=7)), lambda: session.delivered)
    assert source.reliability == "best_effort"
    session.talker.destroy_publisher(publisher)
    session.spin_until(lambda: source.reliability == "reliable")


def test_auto_looks_at_the_publishers_before_it_subscribes(session: Session) -> None:
    session.talker.create_publisher(RosImage, "image", QoSProfile(depth=1, reliability=BEST_EFFORT))
    listener = session.node("listener")
    session.spin_until(lambda: listener.count_publishers("image"))
    source = session.listen(Input(topic="image", type_name=IMAGE), node=listener)
    assert source.reliability == "best_effort"


def test_a_fixed_reliability_stays_and_who_cannot_be_heard_is_told(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    source = session.listen(Input(topic="image", type_name=IMAGE, reliability="reliable"))
    publisher = session.talker.create_publisher(
        RosImage, "image", QoSProfile(depth=1, reliability=BEST_EFFORT)
    )
    session.spin_until(lambda: session.nodes[-1].count_publishers("image"))
    publisher.publish(ros_image(Time(sec=7)))
    said: list[str] = []

    def told() -> bool:
        said.append(capfd.readouterr().err)
        return "/image: 1 of 1 publishers cannot be heard" in "".join(said)

    session.spin_until(told)
    assert source.reliability == "reliable"
    assert not session.delivered


def overriding(session: Session, **values: Any) -> Node:
    overrides = [Parameter(f"qos_overrides.{name}", value=value) for name, value in values.items()]
    return session.node(
        "listener", parameter_overrides=overrides, automatically_declare_parameters_from_overrides=True
    )


def test_qos_overrides_win_over_auto(session: Session) -> None:
    node = overriding(session, **{"/image.subscription.reliability": "best_effort"})
    source = session.listen(Input(topic="image", type_name=IMAGE), node=node)
    assert source.reliability == "best_effort"
    session.talker.create_publisher(RosImage, "image", 1)
    session.spin_until(lambda: node.count_publishers("image"))
    session.spin_for(0.1)
    assert source.reliability == "best_effort"


def test_qos_overrides_set_depth_and_publisher(session: Session) -> None:
    node = overriding(
        session,
        **{
            "/image.subscription.depth": 7,
            "/out.publisher.reliability": "best_effort",
            "/out.publisher.depth": 3,
        },
    )
    session.listen(Input(topic="image", type_name=IMAGE), node=node)
    sink = RosSink(node, {"out": Output(topic="out", type_name=FLOATS)})
    subscription = session.talker.get_subscriptions_info_by_topic
    session.spin_until(lambda: subscription("/image"))
    session.spin_until(lambda: session.talker.get_publishers_info_by_topic("/out"))
    assert node.get_parameter("qos_overrides./image.subscription.depth").value == 7
    offered = session.talker.get_publishers_info_by_topic("/out")[0].qos_profile
    assert offered.reliability == BEST_EFFORT
    sink.close()


def test_topics_follow_namespace_and_remappings(session: Session) -> None:
    node = session.node("listener", namespace="left", cli_args=["--ros-args", "-r", "image:=front/image_raw"])
    source = session.listen(Input(topic="image", type_name=IMAGE), node=node)
    assert source.topic == "/left/front/image_raw"
    RosSink(node, {"out": Output(topic="~/out", type_name=FLOATS)})
    session.spin_until(lambda: session.talker.count_publishers("/left/listener/out"))
    publisher = session.talker.create_publisher(RosImage, "/left/front/image_raw", 1)
    session.publish_until(publisher, ros_image(Time(sec=7)), lambda: session.delivered)


# Sinks


def heard(session: Session, kind: Any, topic: str, **qos: Any) -> list[Any]:
    messages: list[Any] = []
    session.talker.create_subscription(kind, topic, messages.append, QoSProfile(depth=10, **qos))
    return messages


def write_until(session: Session, sink: RosSink, message: Message, condition: Callable[[], Any]) -> None:
    def again() -> bool:
        sink.write(message)
        return bool(condition())

    session.spin_until(again)


def test_an_image_is_published_with_the_stamp_and_frame_of_its_input(session: Session) -> None:
    node = session.node("listener")
    sink = RosSink(node, {"debug": Output(topic="~/debug", type_name=IMAGE)})
    messages = heard(session, RosImage, "/listener/debug")
    view = PIXELS[::2, 1:5]
    message = Message("debug", Image(view, "rgb8"), Trace(capture_ns=7_000_000_009), frame_id="camera")
    write_until(session, sink, message, lambda: messages)
    image = messages[0]
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (7, 9)
    assert image.header.frame_id == "camera"
    assert (image.height, image.width, image.step, image.encoding) == (2, 4, 12, "rgb8")
    assert np.array_equal(np.frombuffer(image.data, np.uint8).reshape(view.shape), view)


def test_results_without_capture_time_are_stamped_with_the_time_of_the_node(session: Session) -> None:
    node = session.node("listener", parameter_overrides=[Parameter("use_sim_time", value=True)])
    sink = RosSink(node, {"joints": Output(topic="joints", type_name=JOINTS)})
    messages = heard(session, JointState, "joints")
    clock = session.talker.create_publisher(Clock, "/clock", 1)
    now = node.get_clock()
    session.publish_until(clock, Clock(clock=Time(sec=42)), lambda: now.now().nanoseconds == 42_000_000_000)
    joints = Joints(("a",), np.ones(1), NO_FLOATS, NO_FLOATS)
    write_until(session, sink, Message("joints", joints), lambda: messages)
    assert messages[0].header.stamp.sec == 42


def test_sources_stamp_the_receipt_with_simulated_time(session: Session) -> None:
    node = session.node("listener", parameter_overrides=[Parameter("use_sim_time", value=True)])
    session.listen(Input(topic="task", type_name=STRING), node=node)
    clock = session.talker.create_publisher(Clock, "/clock", 1)
    now = node.get_clock()
    session.publish_until(clock, Clock(clock=Time(sec=42)), lambda: now.now().nanoseconds == 42_000_000_000)
    publisher = session.talker.create_publisher(String, "task", 1)
    session.publish_until(publisher, String(data="pick"), lambda: session.delivered)
    assert session.delivered[0].trace.received_ns == 42_000_000_000


def test_a_trajectory_keeps_its_start(session: Session) -> None:
    node = session.node("listener")
    sink = RosSink(node, {"command": Output(topic="command", type_name=TRAJECTORY)})
    messages = heard(session, JointTrajectory, "command")
    times_ns = np.array([20_000_000, 1_040_000_000])
    trajectory = Trajectory(("a", "b"), 5, times_ns, np.ones((2, 2)), np.zeros((2, 2)), NO_FLOATS)
    write_until(session, sink, Message("command", trajectory, Trace(capture_ns=99)), lambda: messages)
    assert messages[0].header.stamp == Time(nanosec=5)
    assert list(messages[0].joint_names) == ["a", "b"]
    assert [point.time_from_start for point in messages[0].points] == [
        Duration(nanosec=20_000_000),
        Duration(sec=1, nanosec=40_000_000),
    ]
    assert messages[0].points[1].positions.tolist() == [1.0, 1.0]


def test_detections_go_through_topics_and_into_viewers(session: Session) -> None:
    vision_msgs = pytest.importorskip("vision_msgs.msg")
    visualization_msgs = pytest.importorskip("visualization_msgs.msg")
    plain: list[Any] = []
    session.talker.create_subscription(vision_msgs.Detection2DArray, "found", plain.append, 10)
    shown: list[Any] = []
    session.talker.create_subscription(visualization_msgs.ImageMarker, "marker", shown.append, 10)
    session.listen(Input(topic="found", type_name="vision_msgs/msg/Detection2DArray"))
    outputs = {
        "found": Output(topic="found", type_name="vision_msgs/msg/Detection2DArray"),
        "marker": Output(topic="marker", type_name="visualization_msgs/msg/ImageMarker"),
    }
    sink = RosSink(session.node("detector"), outputs)
    rows = np.array([[10, 20, 30, 60, 0.75, 1], [0, 0, 8, 8, 0.5, 0]], np.float32)
    found = Detections(rows, ("cup", "jar"))

    def done() -> bool:
        for name in outputs:
            sink.write(Message(name, found, Trace(5_000_000_007), frame_id="camera"))
        return bool(plain and shown and session.delivered)

    session.spin_until(done)
    first = plain[0].detections[0]
    assert (first.results[0].hypothesis.class_id, first.results[0].hypothesis.score) == ("jar", 0.75)
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (20.0, 40.0)
    assert (first.bbox.size_x, first.bbox.size_y) == (20.0, 40.0)
    assert first.header == plain[0].header
    assert first.header.stamp == Time(sec=5, nanosec=7)
    assert len(shown[0].points) == 16
    delivered = session.delivered[0]
    assert (delivered.trace.capture_ns, delivered.frame_id) == (5_000_000_007, "camera")
    assert np.array_equal(delivered.payload.rows[:, :5], rows[:, :5])
    assert delivered.payload.names == ("jar", "cup")


def test_a_latched_output_reaches_readers_that_come_later(session: Session) -> None:
    node = session.node("listener")
    sink = RosSink(node, {"labels": Output(topic="labels", type_name=STRING, latched=True)})
    sink.write(Message("labels", Text("cat,dog")))
    messages = heard(session, String, "labels", durability=DurabilityPolicy.TRANSIENT_LOCAL)
    session.spin_until(lambda: messages)
    assert messages[0].data == "cat,dog"


def test_an_output_on_demand_is_written_only_while_somebody_listens(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    encode = cdr.encode
    monkeypatch.setattr(cdr, "encode", lambda *args: written.append(args[0]) or encode(*args))
    node = session.node("listener")
    sink = RosSink(node, {"debug": Output(topic="debug", type_name=IMAGE, on_demand=True)})
    message = Message("debug", Image(PIXELS, "rgb8"))
    sink.write(message)
    assert not written
    assert not sink.wanted("debug")
    messages = heard(session, RosImage, "debug")
    write_until(session, sink, message, lambda: messages)
    assert sink.wanted("debug")


def test_a_result_that_fits_no_output_is_refused(session: Session) -> None:
    sink = RosSink(session.talker, {"out": Output(topic="out", type_name=FLOATS)})
    with pytest.raises(UnknownOutput, match="expected a message for out; got one for 'oot'"):
        sink.write(Message("oot", np.zeros(2)))
    with pytest.raises(cdr.CdrError, match="expected a payload of type ndarray, got Text"):
        sink.write(Message("out", Text("hello")))


def test_a_closed_sink_has_no_publishers(session: Session) -> None:
    sink = RosSink(session.talker, {"out": Output(topic="out", type_name=FLOATS)})
    assert session.talker.count_publishers("out") == 1
    sink.close()
    assert session.talker.count_publishers("out") == 0


# The middleware's own bytes


def test_the_bytes_of_rclpy_are_read_with_their_padding() -> None:
    # rclpy estimates the size of empty sequences of float64 too high and leaves bytes at the end.
    point = JointTrajectoryPoint(positions=[1.0], time_from_start=Duration(sec=1))
    data = serialize_message(JointTrajectory(joint_names=["a"], points=[point]))
    decoded = cdr.decode(TRAJECTORY, data).payload
    assert decoded.positions.tolist() == [[1.0]]
    assert decoded.time_from_start_ns.tolist() == [1_000_000_000]
    exact = cdr.encode(TRAJECTORY, 0, "", decoded)
    assert len(exact) <= len(data)
    assert deserialize_message(exact, JointTrajectory).points == [point]


def test_rclpy_reads_our_multi_array() -> None:
    data = cdr.Float64MultiArrayWriter(3).write(np.array([1.0, np.nan, 3.0]))
    assert np.array_equal(
        deserialize_message(data, Float64MultiArray).data, [1.0, np.nan, 3.0], equal_nan=True
    )


# The process


def test_the_profile_of_the_package_is_set_for_every_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(segments, "is_small", lambda _folder: False)
    prepare_process()
    expected = str(resources.path("config", "fastdds_shm.xml"))
    assert [os.environ[name] for name in PROFILE_VARIABLES] == [expected, expected]
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", [*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS"])
def test_the_choice_of_the_user_stands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable in PROFILE_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "mine")
    prepare_process()
    assert {variable: os.environ.get(variable) for variable in PROFILE_VARIABLES} == {
        variable: "mine" if variable == name else None for variable in PROFILE_VARIABLES
    }
