# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A processor in a node: from a topic to a topic, with what goes wrong on the way."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from amplifier_node import Amplifier, AmplifierNode, AmplifierSettings
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from lowlat_nodes.energy.budget import Leeway, Order
from lowlat_nodes.nodes import processor_node
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.nodes.processor_node import Hosted
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.ros import Input, Output

pytestmark = pytest.mark.ros

STATE = JointState(name=["a", "b"], position=[1.0, 2.0])
BROKEN = JointState(name=["a", "b"], position=[1.0, float("nan")])
MAKE = "from amplifier_node import AmplifierNode"
INPUT = Input(topic="joint_states", type_name="sensor_msgs/msg/JointState")
OUTPUT = Output(topic="out", type_name="std_msgs/msg/Float64MultiArray")


def amplifier(
    robot: Any, *, namespace: str = "", cli_args: list[str] | None = None, **values: Any
) -> AmplifierNode:
    values = {"diagnostic_updater.period": 0.1} | values
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node: AmplifierNode = robot.add(
        AmplifierNode(overrides=overrides, namespace=namespace, cli_args=cli_args)
    )
    return node


def reports(robot: Any) -> list[dict[str, str]]:
    """Return a list that fills with the values of each report, its level and message among them."""
    collected: list[dict[str, str]] = []

    def collect(message: DiagnosticArray) -> None:
        status = message.status[0]
        values = {item.key: item.value for item in status.values}
        collected.append({"level": Level(status.level[0]).name, "message": status.message, **values})

    robot.outside.create_subscription(DiagnosticArray, "/diagnostics", collect, 10)
    return collected


def test_results_come_out_and_are_accounted_for(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start(), node.problem
    results = robot.listen(Float64MultiArray, "/amplifier/amplified")
    collected = reports(robot)
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    robot.publish_until(publisher, STATE, lambda: len(results) >= 3)
    assert results[-1].data.tolist() == [2.0, 4.0]

    def complete() -> list[dict[str, str]]:
        """A period may end between a message and its result; such a report is not meant."""
        running = [item for item in collected if item["message"] == "running"]
        rates = ("rate_in_hz", "rate_out_hz")
        return [item for item in running if all(float(item[rate]) > 0.0 for rate in rates)]

    robot.publish_until(publisher, STATE, complete)
    figures = complete()[0]
    assert figures["level"] == "OK"
    assert float(figures["latency_p50_ms"]) <= float(figures["latency_p99_ms"])
    assert figures["failures"] == "0"
    assert figures["state"] == "active"


def test_the_age_is_taken_against_the_stamp(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start(), node.problem
    collected = reports(robot)
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    old = JointState(name=["a"], position=[1.0])
    now_s = robot.outside.get_clock().now().nanoseconds // 1_000_000_000
    old.header.stamp = Time(sec=now_s - 100)

    def ages_ms() -> list[float]:
        return [age for item in collected if (age := float(item["age_p50_ms"])) > 0]

    robot.publish_until(publisher, old, ages_ms)
    assert 99e3 < ages_ms()[0] < 101e3 + 1e3 * (time.time() - now_s)


def test_a_message_that_makes_the_processor_raise_is_counted_and_the_next_one_works(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start(), node.problem
    results = robot.listen(Float64MultiArray, "/amplifier/amplified")
    collected = reports(robot)
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    robot.publish_until(publisher, BROKEN, lambda: any(item["level"] == "WARN" for item in collected))
    warning = next(item for item in collected if item["level"] == "WARN")
    assert int(warning["failures"]) >= 1
    assert "ValueError: expected numbers" in warning["last_failure"]
    assert "ValueError" in warning["message"]
    assert not results
    robot.publish_until(publisher, STATE, lambda: results)


def test_malformed_bytes_are_counted_and_the_next_message_works(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start(), node.problem
    results = robot.listen(Float64MultiArray, "/amplifier/amplified")
    collected = reports(robot)
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    robot.publish_until(
        publisher, b"\0\1\0\0garbage", lambda: any("drops.malformed" in item for item in collected)
    )
    warning = next(item for item in collected if "drops.malformed" in item)
    assert warning["level"] == "WARN"
    assert warning["drops"] == warning["drops.malformed"]
    assert "joints: " in warning["last_failure"]
    robot.publish_until(publisher, STATE, lambda: results)


def test_a_topic_that_stops_is_reported(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start(), node.problem
    collected = reports(robot)
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    robot.publish_until(publisher, STATE, lambda: any(item["level"] == "OK" for item in collected))
    robot.spin_until(lambda: collected[-1]["level"] == "STALE")
    assert collected[-1]["message"] == "no input"
    assert collected[-1]["state"] == "active"
    robot.outside.destroy_publisher(publisher)
    robot.spin_until(lambda: collected[-1]["message"] == "no input: nobody publishes /joint_states")


def test_a_processor_that_hangs_is_reported(robot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    node, leave = amplifier(robot), threading.Event()
    assert node.start(), node.problem
    monkeypatch.setattr(node.amplifiers[0], "process", lambda _message: leave.wait(60.0) and [])
    collected = reports(robot)
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    robot.publish_until(publisher, STATE, lambda: any(item["level"] == "ERROR" for item in collected))
    assert "stuck: its loop has not gone round for" in collected[-1]["message"]
    assert float(collected[-1]["loop_age_ms"]) > 750.0  # three periods
    leave.set()
    robot.publish_until(publisher, STATE, lambda: collected[-1]["level"] == "OK")


class PickyNode(AmplifierNode):
    """Takes only messages that are younger than 10 ms."""

    def _make(self, config: AmplifierSettings) -> Hosted:
        hosted = super()._make(config)
        inputs = {name: replace(wired, max_age_ms=10.0) for name, wired in hosted.inputs.items()}
        return replace(hosted, inputs=inputs)


def test_a_loop_that_goes_round_and_finishes_nothing_is_reported(
    robot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_node, "_STUCK_S", 0.3)
    node = robot.add(PickyNode(overrides=[Parameter("diagnostic_updater.period", value=0.1)]))
    assert node.start(), node.problem
    collected = reports(robot)
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    old = JointState(name=["a"], position=[1.0])
    old.header.stamp = Time(sec=robot.outside.get_clock().now().nanoseconds // 1_000_000_000 - 100)
    robot.publish_until(publisher, old, lambda: any(item["level"] == "ERROR" for item in collected))
    assert "stuck: no message finished for" in collected[-1]["message"]
    assert int(collected[-1]["drops.stale"]) > 0


def test_a_processor_that_does_not_open_leaves_the_node_unconfigured(robot: Any) -> None:
    node = amplifier(robot, model="missing")
    collected = reports(robot)
    assert not node.start()
    assert node.state == "unconfigured"
    assert node.amplifiers[0].calls == ["open", "close"]
    robot.spin_until(lambda: collected)
    assert collected[-1]["level"] == "ERROR"
    assert "expected a model, got none" in collected[-1]["message"]


def test_the_processor_stays_open_while_the_node_is_inactive(robot: Any) -> None:
    node = amplifier(robot)
    assert node.start(), node.problem
    node.trigger_deactivate()
    assert node.amplifiers[0].calls == ["open"]
    robot.spin_until(lambda: not robot.outside.count_subscribers("joint_states"))
    node.trigger_activate()
    results = robot.listen(Float64MultiArray, "/amplifier/amplified")
    publisher = robot.outside.create_publisher(JointState, "joint_states", 1)
    robot.publish_until(publisher, STATE, lambda: results)
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert node.amplifiers[0].calls == ["open", "close"]
    assert node.count_publishers("/amplifier/amplified") == 0
    assert node.start()
    assert len(node.amplifiers) == 2


def test_namespace_and_remappings_are_honoured(robot: Any) -> None:
    arguments = ["--ros-args", "-r", "joint_states:=arm/states", "-r", "~/amplified:=/loud"]
    node = amplifier(robot, namespace="left", cli_args=arguments)
    assert node.start(), node.problem
    results = robot.listen(Float64MultiArray, "/loud")
    publisher = robot.outside.create_publisher(JointState, "/left/arm/states", 1)
    robot.publish_until(publisher, STATE, lambda: results)


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ({"joint": INPUT}, {"amplified": OUTPUT}, "inputs: expected topics for joints; got joint"),
        ({"joints": INPUT}, {}, "outputs: expected topics for amplified; got none"),
    ],
)
def test_wiring_that_does_not_fit_the_processor_is_refused(
    inputs: dict[str, Input], outputs: dict[str, Output], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Hosted(Amplifier(AmplifierSettings()), inputs, outputs)


@pytest.mark.parametrize("last", ["rclpy.shutdown()", ""])
def test_a_program_that_forgets_its_node_ends_cleanly(last: str) -> None:
    script = f"import rclpy; {MAKE}; rclpy.init(); node = AmplifierNode(); assert node.start(); {last}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent, timeout=120.0)


def test_a_node_that_was_destroyed_is_gone(ros_domain_id: int) -> None:
    """Or its publishers would stay in the graph: nothing may keep it from being collected."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = AmplifierNode(context=context)
    assert node.start(), node.problem
    node.destroy_node()
    left = weakref.ref(node)
    del node
    gc.collect()
    assert left() is None
    rclpy.shutdown(context=context)


class Twice(Amplifier):
    def process(self, message: Message) -> list[Message]:
        return [*super().process(message), *super().process(message)]


class TwiceNode(AmplifierNode):
    def _make(self, config: AmplifierSettings) -> Hosted:
        return replace(super()._make(config), processor=Twice(config))


def test_an_order_is_of_results_of_which_an_input_may_make_several(robot: Any) -> None:
    node: TwiceNode = robot.add(TwiceNode())
    assert node.start(), node.problem
    found: list[float] = []
    robot.outside.create_subscription(
        Float64MultiArray, "/amplifier/amplified", lambda _message: found.append(time.monotonic()), 100
    )
    publisher = robot.outside.create_publisher(JointState, "/joint_states", 10)

    def made(count: int) -> bool:
        publisher.publish(STATE)
        return len(found) >= count

    robot.spin_until(lambda: made(40))
    node.obey(Order(max_hz=20.0))
    robot.spin_until(lambda: time.monotonic() - found[-1] > 1.0)  # what was on its way has come
    found.clear()
    began_s = time.monotonic()
    robot.spin_until(lambda: made(20))
    assert len(found) <= 20.0 * (time.monotonic() - began_s) + 6


def test_a_processor_whose_mailbox_keeps_all_is_not_held_back(robot: Any) -> None:
    assert AmplifierNode.leeway(robot.add(AmplifierNode())) == Leeway()
