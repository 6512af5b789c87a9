# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The bridge between real ROS topics and real sockets."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from bridge_rig import Rig, rig
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from pages import counted
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage as RosCompressedImage
from sensor_msgs.msg import Image as RosImage
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import CompressedImage, Image, Joints, Serialised, Text, Trajectory
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber
from lowlat_nodes.transport.zmq.tap import Tap, Tapped

pytestmark = pytest.mark.ros

STRING = "std_msgs/msg/String"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LATCHED_MANY = QoSProfile(depth=20, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
PIXELS = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def world(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.fixture
def subscribe(world: Rig) -> Iterator[Callable[..., list[Message]]]:
    """Return the list that the messages of a topic on the wire are put into."""
    made: list[Subscriber] = []

    def start(topic: str = "chat", name: str = "there") -> list[Message]:
        heard: list[Message] = []
        made.append(Subscriber(world.endpoint(name), {"it": topic}, clock=SystemClock()))
        made[-1].start(heard.append)
        return heard

    yield start
    for subscriber in made:
        subscriber.stop()


@pytest.fixture
def publisher(world: Rig) -> Iterator[Publisher]:
    """A publisher that is no bridge, at the endpoint `there`."""
    made = Publisher(world.endpoint("there"), {"chat": "chat"})
    yield made
    made.close()


def chat(world: Rig, direction: str, **more: Any) -> dict[str, Any]:
    """Return the parameters of a bridge with one route for /chat."""
    route = {"ros": "/chat", "direction": direction, "keep": "every", **more}
    if direction == "to_zmq":
        return {"routes": {"chat": route}, "zmq": {"endpoint": world.endpoint("there")}}
    return {"routes": {"chat": route}, "peers": {"there": {"endpoint": world.endpoint("there")}}}


def both_ways(world: Rig, own: str, other: str, **more: Any) -> dict[str, Any]:
    """Return the parameters of a bridge that carries /chat from and to another one."""
    route = {"ros": "/chat", "keep": "every", **more}
    return {
        "routes": {"out": {**route, "direction": "to_zmq"}, "in": {**route, "direction": "to_ros"}},
        "zmq": {"endpoint": world.endpoint(own)},
        "peers": {"other": {"endpoint": world.endpoint(other)}},
    }


def picture(stamp: int = 5, encoding: str = "rgb8", pixels: Any = PIXELS) -> RosImage:
    message = RosImage(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.header.stamp.sec, message.header.frame_id = stamp, "optical"
    message.step, message.data = pixels[0].nbytes, pixels.tobytes()
    return message


def pose(number: int) -> PoseStamped:
    message = PoseStamped()
    message.pose.position.x = float(number)
    return message


def drops(bridge: Any, route: str = "chat") -> dict[str, int]:
    (lane,) = [each for each in (*bridge._outward, *bridge._inward) if each.named.name == route]
    return lane.dropped()


def test_a_message_crosses_to_another_domain_with_its_stamp(world: Rig, module_ros_domain_id: int) -> None:
    other = module_ros_domain_id
    there, here = world.node("there"), world.node("here", other)
    world.bridge(**chat(world, "to_zmq"))
    world.bridge(domain=other, **chat(world, "to_ros"))
    heard: list[PoseStamped] = []
    here.create_subscription(PoseStamped, "/chat", heard.append, 10)
    said = PoseStamped()
    said.header.stamp.sec, said.header.stamp.nanosec, said.header.frame_id = 12, 34, "map"
    said.pose.position.x = 1.5
    world.publish_until(there.create_publisher(PoseStamped, "/chat", 10), said, lambda: heard)
    assert heard[0] == said


def test_messages_that_go_on_count_for_the_energy_sampler_both_ways(
    world: Rig, module_ros_domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path))
    other = module_ros_domain_id
    there, here = world.node("there"), world.node("here", other)
    world.bridge("sends", **chat(world, "to_zmq"))
    world.bridge("receives", domain=other, **chat(world, "to_ros"))
    heard: list[PoseStamped] = []
    here.create_subscription(PoseStamped, "/chat", heard.append, 10)
    publisher = there.create_publisher(PoseStamped, "/chat", 10)
    world.publish_until(publisher, pose(1), lambda: len(heard) > 2)
    for name in ("/sends", "/receives"):
        started, finished = counted(tmp_path, name)[""]
        assert started >= finished >= len(heard)


def test_images_joints_and_texts_are_sent_for_any_reader(world: Rig, subscribe: Any) -> None:
    there = world.node("there")
    world.bridge(
        zmq={"endpoint": world.endpoint("there")},
        routes={
            name: {"ros": f"/{name}", "direction": "to_zmq"} for name in ("camera", "joints", "text", "pose")
        },
    )
    joints = JointState(name=["a", "b"], position=[1.0, float("nan")])
    joints.header.stamp.sec = 7
    for topic, said, payload in (
        ("camera", picture(), Image),
        ("joints", joints, Joints),
        ("text", String(data="grün"), Text),
        ("pose", PoseStamped(), Serialised),
    ):
        heard = subscribe(topic)
        world.publish_until(there.create_publisher(type(said), f"/{topic}", 1), said, lambda: heard)  # noqa: B023
        assert type(heard[0].payload) is payload
        if topic == "camera":
            assert (heard[0].trace.capture_ns, heard[0].frame_id) == (5_000_000_000, "optical")
            assert np.array_equal(heard[0].payload.data, PIXELS)
        if topic == "joints":
            assert heard[0].trace.capture_ns == 7_000_000_000
            assert heard[0].payload.names == ("a", "b")
        if topic == "text":
            assert heard[0].payload.data == "grün"


def test_what_an_image_cannot_say_in_general_travels_as_it_is(world: Rig, subscribe: Any) -> None:
    there = world.node("there")
    heard = subscribe()
    world.bridge(**chat(world, "to_zmq"))
    padded = picture()
    padded.step, padded.data = 200, bytes(48 * 200)
    publisher = there.create_publisher(RosImage, "/chat", 1)
    for said in (padded, picture(encoding="nv21")):
        heard.clear()
        world.publish_until(publisher, said, lambda: heard)
        assert type(heard[-1].payload) is Serialised


def test_images_are_compressed_and_unpacked(world: Rig, module_ros_domain_id: int, subscribe: Any) -> None:
    there, here = world.node("there"), world.node("here", module_ros_domain_id)
    smooth = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    world.bridge(**chat(world, "to_zmq", image="jpeg", jpeg_quality=95))
    world.bridge(
        domain=module_ros_domain_id,
        peers={"there": {"endpoint": world.endpoint("there")}},
        routes={
            "file": {"ros": "/file", "zmq": "chat", "direction": "to_ros"},
            "image": {"ros": "/image", "zmq": "chat", "direction": "to_ros", "type": "sensor_msgs/msg/Image"},
        },
    )
    wire = subscribe()
    files: list[RosCompressedImage] = []
    images: list[RosImage] = []
    here.create_subscription(RosCompressedImage, "/file", files.append, 1)
    here.create_subscription(RosImage, "/image", images.append, 1)
    world.publish_until(
        there.create_publisher(RosImage, "/chat", 1),
        picture(pixels=smooth),
        lambda: wire and files and images,
    )
    assert type(wire[0].payload) is CompressedImage
    assert files[0].format == "rgb8; jpeg compressed bgr8"
    assert files[0].header.stamp.sec == images[0].header.stamp.sec == 5
    unpacked = cv2.imdecode(np.frombuffer(files[0].data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(unpacked[:, :, ::-1].astype(int) - smooth).max() < 8
    assert images[0].encoding == "bgr8"
    assert np.array_equal(np.frombuffer(images[0].data, np.uint8), unpacked.reshape(-1))


def test_what_is_no_picture_is_not_compressed_but_counted(world: Rig) -> None:
    there = world.node("there")
    bridge = world.bridge(**chat(world, "to_zmq", image="jpeg"))
    depth = picture(encoding="32FC1", pixels=np.ones((4, 4, 1), np.float32))
    world.publish_until(
        there.create_publisher(RosImage, "/chat", 1), depth, lambda: drops(bridge).get("malformed")
    )
    assert "32FC1" in bridge.report().values["last_failure"]


@pytest.mark.parametrize("apart", [False, True])
def test_two_bridges_back_to_back_multiply_nothing(
    world: Rig, module_ros_domain_id: int, apart: bool
) -> None:
    other = module_ros_domain_id if apart else None
    nodes = [world.node("left"), world.node("right", other)]
    world.bridge("one", **both_ways(world, "one", "two"))
    world.bridge("two", other, **both_ways(world, "two", "one"))
    heard: list[list[str]] = [[], []]
    for node, words in zip(nodes, heard, strict=True):
        node.create_subscription(
            String, "/chat", lambda message, words=words: words.append(message.data), 100
        )
    publishers = [node.create_publisher(String, "/chat", 100) for node in nodes]

    def crossed() -> bool:
        for side, publisher in enumerate(publishers):
            publisher.publish(String(data=f"hello {side}"))
        return all({"hello 0", "hello 1"} <= set(words) for words in heard)

    world.spin_until(crossed)
    for index in range(20):
        for side, publisher in enumerate(publishers):
            publisher.publish(String(data=f"{side} {index}"))
    expected = {f"{side} {index}" for side in (0, 1) for index in range(20)}
    world.spin_until(lambda: all(expected <= set(words) for words in heard))
    world.spin(0.5)
    for words in heard:
        assert Counter(word for word in words if not word.startswith("hello")) == Counter(expected)


def test_latched_topics_reach_who_comes_late_on_both_sides(
    world: Rig, module_ros_domain_id: int, subscribe: Any
) -> None:
    other = module_ros_domain_id
    sources = [world.node(f"source{number}") for number in range(3)]
    for number, source in enumerate(sources):  # each has something to say, as with /tf_static
        source.create_publisher(PoseStamped, "/chat", LATCHED).publish(pose(number))
    bridge = world.bridge(**chat(world, "to_zmq", keep="newest"))
    world.spin_until(lambda: bridge.report().values["chat.given"] == 3)
    late = subscribe()
    world.spin_until(lambda: len(late) == 3)
    far = world.bridge(domain=other, **chat(world, "to_ros", keep="newest"))
    assert far
    here = world.node("here", other)
    heard: list[PoseStamped] = []
    here.create_subscription(PoseStamped, "/chat", heard.append, LATCHED_MANY)
    world.spin_until(lambda: {message.pose.position.x for message in heard} == {0.0, 1.0, 2.0})
    later: list[PoseStamped] = []
    world.node("later", other).create_subscription(PoseStamped, "/chat", later.append, LATCHED_MANY)
    world.spin_until(lambda: {message.pose.position.x for message in later} == {0.0, 1.0, 2.0})
    assert len(later) == 3
    (offered,) = here.get_publishers_info_by_topic("/chat")
    assert offered.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_what_a_latched_publisher_said_is_forgotten_with_it(world: Rig, subscribe: Any) -> None:
    leaver, stayer = world.node("leaver"), world.node("stayer")
    leaver.create_publisher(PoseStamped, "/chat", LATCHED).publish(pose(1))
    stayer.create_publisher(PoseStamped, "/chat", LATCHED).publish(pose(2))
    bridge = world.bridge(**chat(world, "to_zmq"))
    (lane,) = bridge._outward
    # A message may come before the graph tells of who sent it.
    world.spin_until(lambda: bridge.report().values["chat.given"] == len(lane._writers) == 2)
    world.end(leaver)
    world.spin_until(lambda: len(lane._writers) == 1)
    late = subscribe()
    world.spin_until(lambda: late)
    world.spin(0.2)
    assert len(late) == 1


@pytest.mark.parametrize("reliability", ["reliable", "best_effort"])
def test_reliability_is_that_of_the_source_on_both_sides(
    world: Rig, module_ros_domain_id: int, reliability: str
) -> None:
    there, here = world.node("there"), world.node("here", module_ros_domain_id)
    offered = ReliabilityPolicy[reliability.upper()]
    publisher = there.create_publisher(String, "/chat", QoSProfile(depth=5, reliability=offered))
    world.bridge(**chat(world, "to_zmq"))
    world.bridge(domain=module_ros_domain_id, **chat(world, "to_ros"))
    heard: list[String] = []
    here.create_subscription(String, "/chat", heard.append, BEST_EFFORT)
    world.publish_until(publisher, String(data="hello"), lambda: heard)
    for node, endpoints in (
        (there, there.get_subscriptions_info_by_topic("/chat")),
        (here, here.get_publishers_info_by_topic("/chat")),
    ):
        assert [each.qos_profile.reliability for each in endpoints] == [offered], node


def test_a_publisher_that_offers_less_is_heard_when_it_turns_up(world: Rig, subscribe: Any) -> None:
    node = world.node("node")
    heard = subscribe()
    world.bridge(**chat(world, "to_zmq"))
    reliable = node.create_publisher(String, "/chat", 10)
    world.publish_until(reliable, String(data="reliable"), lambda: heard)
    lossy = node.create_publisher(String, "/chat", BEST_EFFORT)
    world.publish_until(
        lossy, String(data="lossy"), lambda: any(message.payload.data == "lossy" for message in heard)
    )


def test_a_reliability_that_nobody_offers_is_reported(world: Rig) -> None:
    node = world.node("node")
    node.create_publisher(String, "/chat", BEST_EFFORT)
    bridge = world.bridge(**chat(world, "to_zmq", reliability="reliable"))
    world.spin_until(lambda: "offer less than routes.chat asks for" in bridge.report().summary)


def test_no_more_than_max_hz_pass_and_the_others_are_counted(world: Rig, subscribe: Any) -> None:
    node = world.node("node")
    heard = subscribe()
    bridge = world.bridge(**chat(world, "to_zmq", max_hz=0.5))
    publisher = node.create_publisher(String, "/chat", 10)
    world.publish_until(publisher, String(data="first"), lambda: heard)
    world.publish_until(publisher, String(data="others"), lambda: drops(bridge).get("rate", 0) > 20)
    assert [message.payload.data for message in heard[:1]] == ["first"]
    seconds = (heard[-1].trace.received_ns - heard[0].trace.received_ns) * 1e-9
    assert len(heard) <= 1 + seconds / 2.0 + 0.1


def test_every_message_comes_in_order_where_every_one_is_kept(world: Rig, module_ros_domain_id: int) -> None:
    there, here = world.node("there"), world.node("here", module_ros_domain_id)
    world.bridge(**chat(world, "to_zmq", depth=1000))
    world.bridge(domain=module_ros_domain_id, **chat(world, "to_ros", depth=1000))
    heard: list[str] = []
    here.create_subscription(String, "/chat", lambda message: heard.append(message.data), 1000)
    publisher = there.create_publisher(String, "/chat", 1000)
    world.publish_until(publisher, String(data="hello"), lambda: heard)
    for number in range(500):
        publisher.publish(String(data=str(number)))
    world.spin_until(lambda: heard[-1] == "499")
    assert [word for word in heard if word != "hello"] == [str(number) for number in range(500)]


def test_of_a_burst_the_newest_comes_where_the_newest_is_kept(world: Rig, publisher: Publisher) -> None:
    """What waits while the topic is not ready gives way."""
    here = world.node("here")
    bridge = world.bridge(**chat(world, "to_ros", keep="newest"))
    heard: list[str] = []
    here.create_subscription(String, "/chat", lambda message: heard.append(message.data), 1000)

    def say(word: str) -> None:
        publisher.write(Message("chat", Text(word)))

    world.spin_until(lambda: say("hello") or heard)
    (lane,) = bridge._inward
    with lane._lock:  # the thread that publishes stands still
        world.spin_until(lambda: say("old") or drops(bridge).get("superseded", 0) >= 20)
        before = lane.received
        say("the newest")
        while lane.received == before:
            time.sleep(0.01)
    world.spin_until(lambda: heard[-1] == "the newest")
    assert heard.count("old") <= 1


def test_what_is_too_old_is_dropped_on_either_side(world: Rig, publisher: Publisher, subscribe: Any) -> None:
    here = world.node("here")
    bridge = world.bridge(**chat(world, "to_ros", expire_ms=50.0, type="sensor_msgs/msg/JointState"))
    old = Message("chat", Joints(("a",), np.ones(1), np.empty(0), np.empty(0)))
    old.trace.capture_ns = time.time_ns() - 1_000_000_000
    world.spin_until(lambda: publisher.write(old) or drops(bridge).get("stale"))
    world.end(bridge)
    values = chat(world, "to_zmq", expire_ms=50.0)
    one = world.bridge("one", **{**values, "zmq": {"endpoint": world.endpoint("one")}})
    heard = subscribe("chat", "one")
    joints = here.create_publisher(JointState, "/chat", 10)
    ancient = JointState(name=["a"], position=[1.0])
    ancient.header.stamp.sec = 5
    world.publish_until(joints, ancient, lambda: drops(one).get("stale"))
    world.publish_until(joints, JointState(name=["unstamped"]), lambda: heard)
    assert heard[0].payload.names == ("unstamped",)


def test_a_stamp_ahead_of_the_clock_does_not_make_a_message_last_longer(world: Rig) -> None:
    here = world.node("here")
    bridge = world.bridge(
        "one", **{**chat(world, "to_zmq", expire_ms=50.0), "zmq": {"endpoint": world.endpoint("one")}}
    )
    ahead = JointState(name=["a"], position=[1.0])
    ahead.header.stamp.sec = int(time.time()) + 3600
    joints = here.create_publisher(JointState, "/chat", 10)
    heard: list[Tapped] = []
    tap = Tap(world.endpoint("one"), ["chat"], clock=SystemClock())
    tap.start(heard.append)
    try:
        world.publish_until(joints, ahead, lambda: heard)
        assert 0 < heard[0].header.budget_ns <= 50_000_000
        world.publish_until(joints, ahead, lambda: bridge.report().values.get("stamps_ahead"))
    finally:
        tap.stop()


def test_what_others_send_is_published_as_its_payload_says(world: Rig, publisher: Publisher) -> None:
    here = world.node("here")
    world.bridge(**chat(world, "to_ros"))
    heard: list[JointTrajectory] = []
    here.create_subscription(JointTrajectory, "/chat", heard.append, 10)
    plan = Trajectory(("a",), 7, np.array([5, 10]), np.ones((2, 1)), np.empty(0), np.empty(0))
    world.spin_until(lambda: publisher.write(Message("chat", plan)) or heard)
    assert heard[0].joint_names == ["a"]
    assert [point.positions[0] for point in heard[0].points] == [1.0, 1.0]


def test_bad_bytes_are_counted_and_named_and_the_next_message_is_published(
    world: Rig, publisher: Publisher
) -> None:
    here = world.node("here")
    bridge = world.bridge(**chat(world, "to_ros", type=STRING))
    heard: list[String] = []
    here.create_subscription(String, "/chat", heard.append, 10)
    good = cdr.encode(STRING, 0, "", Text("good"))
    world.spin_until(lambda: publisher.write(Message("chat", Text("hello"))) or heard)
    for number, data in enumerate((good[:-2], good[:-1] + b"x", good[:4] + b"\xff\xff\xff\xff" + good[8:])):
        publisher.write(Message("chat", Serialised(STRING, data)))
        world.spin_until(lambda number=number: drops(bridge).get("malformed", 0) == number + 1)
    publisher.write(Message("chat", Serialised("std_msgs/msg/Int32", good)))
    world.spin_until(lambda: drops(bridge).get("mismatched") == 1)
    assert (
        "expected std_msgs/msg/String on 'chat', got std_msgs/msg/Int32"
        in bridge.report().values["last_failure"]
    )
    publisher.write(Message("chat", Serialised(STRING, good, "RIHS01_" + "0" * 64)))
    world.spin_until(lambda: drops(bridge).get("mismatched") == 2)
    assert "install the same version of the package" in bridge.report().values["last_failure"]
    publisher.write(Message("chat", Serialised(STRING, good)))
    world.spin_until(lambda: heard[-1].data == "good")
    assert bridge.report().values["state"] == "active"


def test_a_type_that_is_not_installed_is_named_with_the_remedy(world: Rig, publisher: Publisher) -> None:
    bridge = world.bridge(**chat(world, "to_ros"))
    unknown = Serialised("nowhere_msgs/msg/Nothing", b"\0\1\0\0")
    world.spin_until(lambda: publisher.write(Message("chat", unknown)) or drops(bridge).get("mismatched"))
    assert "install ros-$ROS_DISTRO-nowhere-msgs, or source the workspace" in bridge.report().summary


def test_a_topic_of_another_type_is_reported_and_taken_when_the_right_one_comes(
    world: Rig, subscribe: Any
) -> None:
    node = world.node("node")
    heard = subscribe()
    bridge = world.bridge(**chat(world, "to_zmq", type=STRING))
    wrong = node.create_publisher(PoseStamped, "/chat", 10)
    world.spin_until(
        lambda: (
            "expected publishers of std_msgs/msg/String on /chat, got geometry_msgs/msg/PoseStamped"
            in bridge.report().summary
        )
    )
    node.destroy_publisher(wrong)
    world.publish_until(node.create_publisher(String, "/chat", 10), String(data="right"), lambda: heard)
    world.spin_until(lambda: bridge.report().level == 0)


def test_the_type_of_a_topic_may_change(world: Rig, module_ros_domain_id: int, subscribe: Any) -> None:
    node, here = world.node("node"), world.node("here", module_ros_domain_id)
    heard = subscribe()
    world.bridge(**chat(world, "to_zmq"))
    world.bridge(domain=module_ros_domain_id, **chat(world, "to_ros"))
    first = node.create_publisher(String, "/chat", 10)
    world.publish_until(first, String(data="text"), lambda: heard)
    node.destroy_publisher(first)
    second = node.create_publisher(PoseStamped, "/chat", 10)
    world.publish_until(second, PoseStamped(), lambda: type(heard[-1].payload) is Serialised)
    poses: list[PoseStamped] = []
    here.create_subscription(PoseStamped, "/chat", poses.append, 10)
    world.publish_until(second, PoseStamped(), lambda: poses)


def test_bridged_messages_are_not_sent_back_unless_wanted(world: Rig, publisher: Publisher) -> None:
    node = world.node("node")
    there = {"endpoint": world.endpoint("there")}
    relay = {
        "peers": {"there": there},
        "zmq": {"endpoint": world.endpoint("relay")},
        "routes": {
            "in": {"ros": "/chat", "zmq": "chat", "direction": "to_ros"},
            "out": {"ros": "/chat", "zmq": "on", "direction": "to_zmq"},
        },
    }
    listener = {
        "routes": {"chat": {"ros": "/chat", "direction": "to_zmq"}},
        "zmq": {"endpoint": world.endpoint("x")},
    }
    one = world.bridge("one", **relay)
    two = world.bridge("two", **listener)
    heard: list[String] = []
    node.create_subscription(String, "/chat", heard.append, 10)

    def say() -> None:
        publisher.write(Message("chat", Text("hello")))

    world.spin_until(lambda: say() or heard)
    world.end(two)
    listener["routes"]["chat"]["forward_bridged"] = True
    three = world.bridge("three", **listener)
    world.spin_until(lambda: say() or three.report().values["chat.given"])
    assert drops(one, "out").get("bridged", 0) == one.report().values["out.received"]


def test_what_has_passed_this_bridge_or_too_many_is_dropped(world: Rig, publisher: Publisher) -> None:
    bridge = world.bridge(**chat(world, "to_ros"))
    (peer,) = bridge._peers
    world.spin_until(
        lambda: (
            publisher.write(Message("chat", Text("far")), via=[str(n) for n in range(8)])
            or drops(bridge).get("far")
        )
    )
    publisher.write(Message("chat", Text("own")), via=["other", peer._own])
    world.spin_until(lambda: drops(bridge).get("own") == 1)


def test_diagnostics_tell_of_routes_and_peers(world: Rig, publisher: Publisher) -> None:
    node = world.node("node")
    statuses: list[Any] = []
    node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda message: statuses.extend(message.status), 10
    )
    world.bridge(**chat(world, "to_ros"))
    heard = []
    node.create_subscription(String, "/chat", heard.append, 10)

    def told() -> bool:
        publisher.write(Message("chat", Text("hello")))
        values = {item.key: item.value for item in statuses[-1].values} if statuses else {}
        return float(values.get("chat.rate_out_hz", "nan")) > 0 and values["peer.there.state"] == "connected"

    world.spin_until(told)
    values = {item.key: item.value for item in statuses[-1].values}
    assert statuses[-1].name == "bridge_node: bridge"
    assert {"rate_in_hz", "age_p50_ms", "chat.age_p99_ms", "chat.received", "loop_age_ms"} <= set(values)
    publisher.close()
    world.spin_until(lambda: statuses[-1].message.startswith("there () gone for"))


@pytest.mark.parametrize("image", ["raw"])
def test_images_for_this_host_go_through_shared_memory(
    world: Rig, module_ros_domain_id: int, image: str
) -> None:
    there, here = world.node("there"), world.node("here", module_ros_domain_id)
    world.bridge(**chat(world, "to_zmq", keep="newest"))
    far = world.bridge(domain=module_ros_domain_id, **chat(world, "to_ros", keep="newest"))
    large = np.random.default_rng(2).integers(0, 256, (240, 320, 3), np.uint8)
    heard: list[RosImage] = []
    here.create_subscription(RosImage, "/chat", heard.append, 1)
    publisher = there.create_publisher(RosImage, "/chat", 1)
    world.publish_until(
        publisher, picture(pixels=large), lambda: heard and far.report().values["peer.there.in_place"]
    )
    assert heard[-1] == picture(pixels=large)


def test_an_inactive_bridge_forwards_nothing_and_an_active_one_does_again(
    world: Rig, publisher: Publisher
) -> None:
    here = world.node("here")
    bridge = world.bridge(**chat(world, "to_ros"))
    heard: list[String] = []
    here.create_subscription(String, "/chat", heard.append, 10)

    def say() -> None:
        publisher.write(Message("chat", Text("hello")))

    world.spin_until(lambda: say() or heard)
    bridge.trigger_deactivate()
    world.spin(0.2)
    heard.clear()
    say()
    world.spin(0.3)
    assert not heard
    bridge.trigger_activate()
    world.spin_until(lambda: say() or heard)
    bridge.trigger_deactivate()
    bridge.trigger_cleanup()
    assert bridge.start(), bridge.problem


OWN = "ipc:///run/user/1000/own"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "expected at least one route, such as routes.camera.ros"),
        ({"routes": {"a": {"direction": "to_zmq"}}}, "parameter 'routes.a.ros' must be given"),
        ({"routes": {"a": {"ros": "/a"}}}, "parameter 'routes.a.direction' must be given"),
        (
            {"routes": {"a": {"ros": "/a", "direction": "to_zqm"}}},
            "expected str, one of: to_zmq, to_ros, got 'to_zqm'; did you mean 'to_zmq'?",
        ),
        (
            {"routes": {"a": {"ros": "/a", "direction": "to_zmq", "max_h": 1.0}}},
            "there is no parameter 'routes.a.max_h'; did you mean 'routes.a.max_hz'?",
        ),
        (
            {"routes": {"a": {"ros": "/a", "direction": "to_zmq"}}},
            "routes.a goes to ZeroMQ, and zmq.endpoint does not say where",
        ),
        (
            {"routes": {"a": {"ros": "/a", "direction": "to_ros"}}},
            "routes.a.peer: expected the name of a peer",
        ),
        (
            {
                "routes": {"a": {"ros": "/a", "direction": "to_ros", "peer": "robt"}},
                "peers": {"robot": {"endpoint": OWN}},
            },
            "there is no peer 'robt'; did you mean 'robot'?",
        ),
        (
            {"routes": {"a": {"ros": "/a b", "direction": "to_zmq"}}, "zmq": {"endpoint": OWN}},
            "routes.a.ros: expected the name of a ROS topic, got '/a b'",
        ),
        (
            {"routes": {"a": {"ros": "/a", "zmq": "@a", "direction": "to_zmq"}}, "zmq": {"endpoint": OWN}},
            "routes.a.zmq: expected a topic of 1 to 255 bytes that begins neither with @",
        ),
        (
            {
                "routes": {
                    "a": {"ros": "/a", "zmq": "x", "direction": "to_zmq"},
                    "b": {"ros": "/b", "zmq": "x", "direction": "to_zmq"},
                },
                "zmq": {"endpoint": OWN},
            },
            "routes.a and routes.b both go to 'x' on the wire",
        ),
        (
            {
                "routes": {"a": {"ros": "/a", "direction": "to_ros"}},
                "zmq": {"endpoint": OWN},
                "peers": {"me": {"endpoint": OWN}},
            },
            "routes.a is a loop: peers.me.endpoint",
        ),
        (
            {
                "routes": {
                    "a": {"ros": "/a", "direction": "to_ros"},
                    "b": {"ros": "/a", "direction": "to_zmq", "forward_bridged": True},
                },
                "zmq": {"endpoint": OWN},
                "peers": {"robot": {"endpoint": "ipc:///run/user/1000/robot"}},
            },
            "routes.a and routes.b are a loop",
        ),
        (
            {
                "routes": {"a": {"ros": "/a", "direction": "to_zmq"}},
                "zmq": {"endpoint": "tcp://0.0.0.0:5570"},
            },
            "other machines can reach this address",
        ),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_the_remedy(
    world: Rig, values: dict[str, Any], reason: str
) -> None:
    bridge = world.make(**values)
    assert not bridge.start()
    assert reason in bridge.problem, bridge.problem
