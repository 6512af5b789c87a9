# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The processor node hosts what its parameters name, and refuses what does not fit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import Twist
from plugins_for_tests import Gathering, Remembering
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Float64MultiArray, String

from lowlat_nodes import resources
from lowlat_nodes.nodes import parameter_file
from lowlat_nodes.nodes.plugin_config import PluginNodeConfig
from lowlat_nodes.nodes.plugin_node import PluginNode
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Serialised, Text
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

pytestmark = pytest.mark.ros

STRING, FLOATS = "std_msgs/msg/String", "std_msgs/msg/Float64MultiArray"
TOLD = {
    "processor": "plugins_for_tests:make_told",
    "inputs.question.type": STRING,
    "outputs.answer.type": STRING,
}
BRAKE = {
    "processor": "plugins_for_tests:make_brake",
    "inputs.base_scan.type": "sensor_msgs/msg/LaserScan",
    "outputs.cmd_vel.type": "geometry_msgs/msg/Twist",
}
GATHERING = {
    "processor": "plugins_for_tests:make_gathering",
    "inputs.numbers.type": FLOATS,
    "outputs.groups.type": FLOATS,
}


def hosting(robot: Any, values: dict[str, Any], *cli_args: str) -> PluginNode:
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node: PluginNode = robot.add(PluginNode(overrides=overrides, cli_args=["--ros-args", *cli_args]))
    return node


def test_parameters_of_any_type_reach_the_processor_from_a_file(robot: Any, tmp_path: Path) -> None:
    path = tmp_path / "told.yaml"
    path.write_text(
        """
        processor_node:
          ros__parameters:
            processor: plugins_for_tests:make_told
            inputs: {question: {type: std_msgs/msg/String}}
            outputs: {answer: {type: std_msgs/msg/String}}
            parameters:
              gain: 2.5
              taps: 3
              quick: true
              word: "7"
              filter: {low: -1.0, names: [a, b]}
              weights: [1.0, 2.0]
              numbers: [1, 2]
              switches: [true, false]
              nothing: []
        """
    )
    node = hosting(robot, {}, "--params-file", str(path))
    assert node.start(), node.problem
    answers = robot.listen(String, "/processor_node/answer")
    publisher = robot.outside.create_publisher(String, "question", 1)
    robot.publish_until(publisher, String(data="what?"), lambda: answers)
    told = {
        "gain": 2.5,
        "taps": 3,
        "quick": True,
        "word": "7",
        "filter.low": -1.0,
        "filter.names": ["a", "b"],
        "weights": [1.0, 2.0],
        "numbers": [1, 2],
        "switches": [True, False],
        "nothing": [],
    }
    assert json.loads(answers[0].data) == told
    refused = node.set_parameters([Parameter("parameters.gain", value=3.0)])[0]
    assert not refused.successful
    # `lowlat up --check` sees the same as the node.
    values = parameter_file.parameters_of("/processor_node", parameter_file.read(path))
    assert dict(build(PluginNodeConfig, values).parameters) == told


def test_messages_of_any_type_are_objects_with_their_fields(robot: Any) -> None:
    node = hosting(robot, BRAKE)
    assert node.start(), node.problem
    commands = robot.listen(Twist, "/cmd_vel")
    publisher = robot.outside.create_publisher(LaserScan, "/base/scan", qos_profile_sensor_data)
    robot.publish_until(publisher, LaserScan(ranges=[2.0, 3.0]), lambda: commands)
    assert commands[0].linear.x == 0.5
    robot.publish_until(publisher, LaserScan(ranges=[2.0, 0.5]), lambda: commands[-1].linear.x == 0.0)


def test_a_typo_in_a_parameter_of_the_processor_is_refused_with_the_right_name(robot: Any) -> None:
    values = {
        "processor": "throttle",
        "inputs.image.type": STRING,
        "outputs.image.type": STRING,
        "parameters.max_h": 5.0,
    }
    node = hosting(robot, values)
    assert not node.start()
    assert node.problem == (
        "cannot configure: there is no parameter 'parameters.max_h'; did you mean 'parameters.max_hz'?"
    )


def test_the_parameters_of_the_processor_are_described_as_the_node_s_own_are(robot: Any) -> None:
    values = {"processor": "throttle", "parameters.max_hz": 5, "parameters.topics": ["image"]}
    node = hosting(robot, values | {"inputs.image.type": STRING, "outputs.image.type": STRING})
    assert node.start(), node.problem
    names = [f"parameters.{name}" for name in ("max_hz", "topics", "suffix")]
    assert [node.get_parameter(name).value for name in names] == [5.0, ["image"], ""]
    descriptor = node.describe_parameter("parameters.max_hz")
    assert descriptor.description == "Most messages a second of each topic. [Hz]"
    assert descriptor.read_only


@pytest.fixture
def gate() -> Iterator[None]:
    """Hold the processor up at its first message."""
    Gathering.gate.clear()
    yield
    Gathering.gate.set()


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("kind", ["fifo", "batch"])
def test_where_every_message_counts_each_comes_and_in_order(robot: Any, kind: str) -> None:
    values = GATHERING | {"mailbox.kind": kind, "mailbox.batch": 4, "inputs.numbers.reliability": "reliable"}
    node = hosting(robot, values)
    assert node.start(), node.problem
    groups: list[Any] = []
    robot.outside.create_subscription(Float64MultiArray, "/groups", groups.append, 100)
    publisher = robot.outside.create_publisher(Float64MultiArray, "/numbers", QoSProfile(depth=50))
    robot.spin_until(lambda: publisher.get_subscription_count() and node.wanted("groups"))
    for number in range(20):
        publisher.publish(Float64MultiArray(data=[float(number)]))
    robot.spin_until(publisher.wait_for_all_acked)
    Gathering.gate.set()
    robot.spin_until(lambda: sum(len(each.data) for each in groups) >= 20)
    assert [number for each in groups for number in each.data] == [float(number) for number in range(20)]
    if kind == "batch":
        assert max(len(each.data) for each in groups) == 4


@pytest.mark.usefixtures("gate")
def test_otherwise_the_newest_message_is_next(robot: Any) -> None:
    node = hosting(robot, GATHERING | {"diagnostic_updater.period": 60.0})
    assert node.start(), node.problem
    groups = robot.listen(Float64MultiArray, "/groups")
    publisher = robot.outside.create_publisher(Float64MultiArray, "/numbers", QoSProfile(depth=50))
    robot.spin_until(lambda: publisher.get_subscription_count() and node.wanted("groups"))
    sent = iter(range(10_000))
    dropped = lambda: int(node.report().values.get("drops.superseded", 0))  # noqa: E731
    robot.spin_until(lambda: publisher.publish(Float64MultiArray(data=[float(next(sent))])) or dropped() > 5)
    Gathering.gate.set()
    robot.spin_until(lambda: len(groups) >= 2)
    assert groups[1].data[0] - groups[0].data[0] > 5


def test_from_zeromq_to_zeromq(robot: Any, tmp_path: Path) -> None:
    source = Publisher(f"ipc://{tmp_path}/in", {"words": "words"})
    endpoint = f"ipc://{tmp_path}/out"
    values = TOLD | {
        "inputs.question.endpoint": source.endpoint,
        "inputs.question.topic": "words",
        "zmq.endpoint": endpoint,
        "parameters.tone": "kind",
    }
    node = hosting(robot, values)
    assert node.start(), node.problem
    heard: list[Message] = []
    subscriber = Subscriber(endpoint, {"answer": "processor_node/answer"}, clock=SystemClock())
    subscriber.start(heard.append)
    try:
        robot.spin_until(lambda: source.write(Message("words", Text("what?"))) or heard)
        assert json.loads(heard[0].payload.data) == {"tone": "kind"}
        loop = lambda: subscriber.peer.states(time.monotonic_ns())[0].name  # noqa: E731
        robot.spin_until(lambda: loop() == "/processor_node")
    finally:
        subscriber.stop()
        source.close()


@pytest.mark.parametrize("kind", ["newest", "batch"])
def test_a_ros_message_that_a_bridge_carries_is_what_it_was_on_ros(
    robot: Any, tmp_path: Path, kind: str
) -> None:
    source = Publisher(f"ipc://{tmp_path}/in", {"scans": "base/scan"})
    node = hosting(robot, BRAKE | {"inputs.base_scan.endpoint": source.endpoint, "mailbox.kind": kind})
    assert node.start(), node.problem
    commands = robot.listen(Twist, "/cmd_vel")
    near = Serialised("sensor_msgs/msg/LaserScan", serialize_message(LaserScan(ranges=[0.5, 2.0])))
    try:
        robot.spin_until(lambda: source.write(Message("scans", near)) or commands)
        assert commands[0].linear.x == 0.0
    finally:
        source.close()


def test_a_processor_need_not_make_anything(robot: Any, tmp_path: Path) -> None:
    values = {"processor": "plugins_for_tests:make_remembering", "inputs.question.type": STRING}
    node = hosting(robot, values | {"zmq.endpoint": f"ipc://{tmp_path}/out"})
    assert node.start(), node.problem
    publisher = robot.outside.create_publisher(String, "question", 1)
    robot.publish_until(publisher, String(data="what?"), lambda: Remembering.seen)
    assert Remembering.seen[0] == "what?"


@pytest.mark.parametrize("latched", [False, True])
def test_what_has_no_form_of_its_own_goes_over_zeromq_as_ros_has_it(
    robot: Any, tmp_path: Path, latched: bool
) -> None:
    endpoint = f"ipc://{tmp_path}/out"
    node = hosting(robot, BRAKE | {"zmq.endpoint": endpoint, "outputs.cmd_vel.latched": latched})
    assert node.start(), node.problem
    commands = robot.listen(Twist, "/cmd_vel")
    heard: list[Message] = []
    subscriber = Subscriber(endpoint, {"commands": "cmd_vel"}, clock=SystemClock())
    publisher = robot.outside.create_publisher(LaserScan, "/base/scan", 1)
    if latched:  # it is there before anybody subscribes over ZeroMQ
        robot.publish_until(publisher, LaserScan(ranges=[2.0]), lambda: commands)
    subscriber.start(heard.append)
    try:
        if latched:
            robot.spin_until(lambda: heard)
        else:
            robot.publish_until(publisher, LaserScan(ranges=[2.0]), lambda: heard)
    finally:
        subscriber.stop()
    payload = heard[0].payload
    assert isinstance(payload, Serialised)
    assert payload.type_name == "geometry_msgs/msg/Twist"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"processor": "throttle"}, "processor 'throttle': parameter 'max_hz' must be given: Most messages"),
        ({"processor": "throtle"}, "there is no processor 'throtle'; did you mean 'throttle'?"),
        (
            {"processor": "no_such_module:make"},
            "No module named 'no_such_module'; a module of your own needs",
        ),
        ({"processor": "plugins_for_tests:make_tld"}, "expected a factory at 'plugins_for_tests:make_tld'"),
        ({"processor": "plugins_for_tests:make_broken"}, "make_broken': KeyError: 'gain'"),
        (
            {"processor": "plugins_for_tests:make_nothing"},
            "expected its factory to make a Processor, got None",
        ),
        ({"processor": "plugins_for_tests:make_ticking"}, "this one works between them too (`advance`)"),
        (
            {"inputs.questoin.type": STRING},
            "inputs.questoin: the processor has none of that name; did you mean",
        ),
        ({"outputs.loud.type": STRING}, "outputs.loud: the processor has none of that name; it has: answer"),
        (
            {"inputs.question.type": ""},
            "inputs.question: expected a type such as sensor_msgs/msg/Image, or an",
        ),
        (
            {"inputs.question.type": "std_msgs/msg/Strin"},
            "inputs.question: expected an installed message type",
        ),
        ({"outputs.answer.type": "String"}, "outputs.answer: expected an installed message type"),
        ({"inputs.question.endpoint": "tcp:/127.0.0.1"}, "inputs.question: "),
        ({"inputs.question.reliability": "reliabel"}, "did you mean 'reliable'?"),
        (
            {"mailbox.kind": "batch", "mailbox.capacity": 3},
            "expected a capacity of at least one batch, got 3 and 16",
        ),
        (
            {"parameters.limits": [[1.0]]},
            "parameter 'parameters.limits': expected bool, int, float, str or an",
        ),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(PluginNodeConfig, TOLD | values).verify()
    assert message in str(caught.value)


def test_every_stream_needs_its_type() -> None:
    with pytest.raises(ConfigurationError, match=r"expected inputs.question.type, the message type of the"):
        build(
            PluginNodeConfig, {name: value for name, value in TOLD.items() if "inputs" not in name}
        ).verify()


def test_the_policy_has_a_node_of_its_own() -> None:
    file = parameter_file.read(resources.path("config", "policy.yaml"))
    parameters = parameter_file.parameters_of("/policy_node", file)
    values = {f"parameters.{name}": value for name, value in parameters.items()}
    with pytest.raises(ConfigurationError, match="policy_node runs it live"):
        build(PluginNodeConfig, {"processor": "policy", **values}).verify()


def test_the_shipped_file_is_accepted() -> None:
    file = parameter_file.read(resources.path("config", "processor.yaml"))
    hosted = build(PluginNodeConfig, parameter_file.parameters_of("/processor_node", file)).hosted()
    assert hosted.inputs["image"].topic == "camera/image"
    assert hosted.outputs["image"].on_demand
