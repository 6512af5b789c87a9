# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The alert node between real topics and sockets."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("fastavro")
pytest.importorskip("onnx")

from alert_model import write_alert_model
from alert_night import alerts
from diagnostic_msgs.msg import DiagnosticArray
from pages import counted, pages
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import String, UInt8MultiArray

from lowlat_nodes import resources
from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.result import FIELDS
from lowlat_nodes.energy.budget import LEAST_HZ, Leeway, Order
from lowlat_nodes.nodes.alert import service as alert_service
from lowlat_nodes.nodes.alert_node import AlertNode
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.zmq.packets import PacketSender

pytestmark = [pytest.mark.ros, pytest.mark.alerts]

Make = Callable[..., AlertNode]


@pytest.fixture
def make(robot: Any, tmp_path: Path) -> Make:
    """Make alert nodes, with a model that is the surer of an SN Ia the more was detected."""
    model = write_alert_model(tmp_path / "model.onnx")

    def make_node(*, starts: bool = True, **values: Any) -> AlertNode:
        flat = {
            "model": str(model),
            "source.zmq.endpoint": f"ipc://{tmp_path}/alerts",
            "diagnostic_updater.period": 0.1,
        } | {name.replace("__", "."): value for name, value in values.items()}
        overrides = [Parameter(name, value=value) for name, value in flat.items()]
        node: AlertNode = robot.add(AlertNode(overrides=overrides))
        assert node.start() is starts, node.problem
        return node

    return make_node


def send(packets: Sequence[Packet], tmp_path: Path) -> None:
    with contextlib.closing(PacketSender(f"ipc://{tmp_path}/alerts")) as sender:
        for packet in packets:
            sender.send(packet)


def listen(robot: Any, topic: str) -> list[dict[str, Any]]:
    """Return the list that the results on a topic are put into."""
    found: list[dict[str, Any]] = []
    deep = QoSProfile(depth=1000)
    robot.outside.create_subscription(
        String, topic, lambda message: found.append(json.loads(message.data)), deep
    )
    robot.spin_until(lambda: robot.outside.count_publishers(topic))
    return found


def diagnostics(robot: Any) -> list[dict[str, str]]:
    collected: list[dict[str, str]] = []

    def collect(message: DiagnosticArray) -> None:
        status = message.status[0]
        values = {item.key: item.value for item in status.values}
        collected.append({"level": str(status.level[0]), "message": status.message, **values})

    robot.outside.create_subscription(DiagnosticArray, "/diagnostics", collect, 10)
    return collected


def send_until(robot: Any, tmp_path: Path, condition: Callable[[], Any], *, first: int = 0) -> None:
    """Send new alerts again and again: the first results may come before the reader."""
    begin = first

    def again() -> bool:
        nonlocal begin
        send(alerts(4, first=begin), tmp_path)
        begin += 4
        return bool(condition())

    robot.spin_until(again)


def test_results_and_what_filters_keep_are_topics(robot: Any, make: Make, tmp_path: Path) -> None:
    make(filter__many__keep="detections >= 3", filter__few__keep="detections < 2", filter__few__topic="a/few")
    results = listen(robot, "/alert_node/results")
    many = listen(robot, "/alert_node/many")
    few = listen(robot, "/alert_node/a/few")
    send_until(robot, tmp_path, lambda: results and many and few)
    assert {record["detections"] for record in many} <= {3, 4}
    assert {record["detections"] for record in few} == {1}
    record = results[0]
    assert record["object_id"] == f"ZTF{record['alert_id']}"
    assert (record["survey"], record["model"]) == ("ztf", "tokens")
    assert record["published_ns"] >= record["received_ns"] > 0


def test_light_curves_are_told_now_and_then_while_somebody_listens(
    robot: Any, make: Make, tmp_path: Path
) -> None:
    node = make()
    results = listen(robot, "/alert_node/results")
    send_until(robot, tmp_path, lambda: results)
    assert not node.count_subscribers("/alert_node/light_curves")
    curves = listen(robot, "/alert_node/light_curves")
    begin_s = time.monotonic()
    send_until(robot, tmp_path, lambda: len(curves) >= 3)
    assert time.monotonic() - begin_s >= 0.4  # five a second at most
    seen = curves[-1]
    assert list(seen) == [*FIELDS, "light_curve"]
    points = [point for band in seen["light_curve"].values() for point in band]
    assert len(points) == seen["detections"]
    newest = max(points)
    assert newest[:2] == pytest.approx([seen["mjd"], seen["magnitude"]], abs=1e-4)


def test_a_filter_cannot_take_the_topic_of_the_light_curves(make: Make) -> None:
    node = make(starts=False, filter__mine__keep="detections > 1", filter__mine__topic="light_curves")
    assert "filter.mine.topic" in node.problem


def test_each_alert_counts_for_the_energy_sampler(
    robot: Any, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path))
    node = make(filter__many__keep="detections >= 0")
    results = listen(robot, "/alert_node/results")
    send_until(robot, tmp_path, lambda: len(results) > 4)
    node.trigger_deactivate()
    robot.spin_until(lambda: counted(tmp_path, "/alert_node")[""][1] >= len(results))
    [page] = pages(tmp_path)
    assert (page.unit, page.counts[""].started) == ("alert", page.counts[""].finished)


def test_packets_come_from_a_ros_topic(robot: Any, make: Make) -> None:
    make(source__kind="ros", source__topic="ztf/alerts")
    results = listen(robot, "/alert_node/results")
    told = diagnostics(robot)
    publisher = robot.outside.create_publisher(UInt8MultiArray, "ztf/alerts", 10)
    numbers = iter(range(1_000_000))

    def some() -> bool:
        (packet,) = alerts(1, first=next(numbers))
        publisher.publish(UInt8MultiArray(data=bytes(packet.data)))
        return len(results) > 2

    robot.spin_until(some)
    assert [record["alert_id"] for record in results] == sorted(record["alert_id"] for record in results)
    publisher.publish(UInt8MultiArray(data=b"rubbish"))
    robot.spin_until(lambda: told and told[-1].get("dead_letters.expected an Avro container") == "1")


def test_what_cannot_be_read_is_a_warning_and_the_node_goes_on(
    robot: Any, make: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "letters"
    make(dead_letters__folder=str(folder))
    told = diagnostics(robot)
    results = listen(robot, "/alert_node/results")
    send([Packet(b"rubbish")], tmp_path)
    robot.spin_until(lambda: told and told[-1].get("dead_letters") == "1")
    robot.spin_until(lambda: any(each["message"] == "in all 1 dead letters" for each in told))
    assert {each["level"] for each in told if each["message"] == "in all 1 dead letters"} == {"1"}
    assert [path.read_bytes() for path in folder.glob("*.packet")] == [b"rubbish"]
    send_until(robot, tmp_path, lambda: results)
    robot.spin_until(lambda: told[-1]["message"] in ("running", "no alerts"))


def test_where_nothing_can_be_read_diagnostics_say_error_until_something_can(
    robot: Any, make: Make, tmp_path: Path
) -> None:
    make()
    told = diagnostics(robot)
    send([Packet(b"rubbish")] * alert_service.FAILING, tmp_path)
    robot.spin_until(lambda: told and told[-1]["level"] == "2")
    assert told[-1]["message"].startswith(
        f"none of the last {alert_service.FAILING} alerts could be read: expected"
    )
    send(alerts(1), tmp_path)
    robot.spin_until(lambda: told[-1]["level"] in "03")


def test_a_sink_that_takes_nothing_is_an_error_too(robot: Any, make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    make(dead_letters__folder=str(folder))
    told = diagnostics(robot)
    folder.rmdir()
    send([Packet(b"rubbish")], tmp_path)
    robot.spin_until(lambda: told and told[-1]["message"].startswith("waiting: write: FileNotFoundError"))
    assert told[-1]["level"] == "2"
    folder.mkdir()
    robot.spin_until(lambda: told[-1]["level"] in "03")
    assert len(list(folder.glob("*.packet"))) == 1


def test_threshold_and_filters_change_while_it_runs(robot: Any, make: Make, tmp_path: Path) -> None:
    make(filter__some__keep="detections >= 1")
    results = listen(robot, "/alert_node/results")
    some = listen(robot, "/alert_node/some")

    def best() -> str | None:
        """Return what the newest alert of four detections was taken for."""
        return next((record["best"] for record in reversed(results) if record["detections"] == 4), None)

    send_until(robot, tmp_path, lambda: best() == "SN Ia")

    def change(name: str, value: Any) -> Any:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return robot.call(SetParameters, "/alert_node/set_parameters", request).results[0]

    assert change("threshold", 1.0).successful
    send_until(robot, tmp_path, lambda: best() == "abstained", first=1000)
    assert change("threshold", 0.0).successful
    send_until(robot, tmp_path, lambda: best() == "SN Ia", first=2000)
    refused = change("filter.some.keep", "detektions > 3")
    assert not refused.successful
    assert "did you mean 'detections'" in refused.reason
    assert change("filter.some.keep", "detections == 4").successful
    send_until(
        robot, tmp_path, lambda: some[-8:] and {each["detections"] for each in some[-8:]} == {4}, first=3000
    )
    assert not change("batch", 7).successful  # not live


def test_alerts_that_come_again_are_said_to(robot: Any, make: Make, tmp_path: Path) -> None:
    make()
    told = diagnostics(robot)
    (packet,) = alerts(1)

    def again() -> bool:
        send([packet], tmp_path)
        return bool(told and told[-1]["message"] == "running, all of it published before")

    robot.spin_until(again)
    assert told[-1]["level"] == "0"
    assert int(told[-1]["repeated"]) > 0


def test_a_budget_holds_alerts_back_where_they_wait_and_loses_none(
    robot: Any, make: Make, tmp_path: Path
) -> None:
    node = make()
    assert node.leeway() == Leeway(LEAST_HZ)
    results = listen(robot, "/alert_node/results")
    send_until(robot, tmp_path, lambda: results)
    node.obey(Order(max_hz=20.0))
    before = {record["alert_id"] for record in results}
    send(alerts(30, first=10_000), tmp_path)
    robot.spin_until(lambda: len({record["alert_id"] for record in results} - before) >= 30)


def test_a_source_that_does_not_wait_is_not_held_back(make: Make) -> None:
    assert make(source__kind="ros").leeway() == Leeway()


def test_an_inactive_node_takes_nothing_and_goes_on_where_it_was(
    robot: Any, make: Make, tmp_path: Path
) -> None:
    night = tmp_path / "night"
    night.mkdir()
    for number, packet in enumerate(alerts(3)):
        (night / f"{number}.avro").write_bytes(packet.data)
    told = diagnostics(robot)
    source = {"source__kind": "files", "source__files": [str(night)], "source__progress": str(tmp_path / "p")}
    node = make(**source)
    robot.spin_until(lambda: told and told[-1]["message"] == "all files are done")
    assert told[-1]["level"] == "0"
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    results = listen(robot, "/alert_node/results")  # still advertised
    (night / "3.avro").write_bytes(alerts(1, first=3)[0].data)
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    robot.spin_until(lambda: results)
    assert [record["alert_id"] for record in results] == [3]
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    robot.spin_until(lambda: not robot.outside.count_publishers("/alert_node/results"))
    assert node.start(), node.problem


def test_a_broker_that_is_not_there_is_told(robot: Any, make: Make) -> None:
    pytest.importorskip("confluent_kafka")
    make(
        source__kind="kafka",
        source__kafka__topics=["ztf"],
        source__kafka__group="group",
        kafka__bootstrap="127.0.0.1:9",
    )
    told = diagnostics(robot)
    robot.spin_until(lambda: told and told[-1]["message"].startswith("no alerts; newest error: Kafka: 127"))
    assert told[-1]["level"] == "3"


def test_without_topics_results_go_elsewhere(robot: Any, make: Make, tmp_path: Path) -> None:
    make(publish=False, filter__some__keep="detections > 0", filter__some__topic="fink.some-thing")
    told = diagnostics(robot)
    send(alerts(4), tmp_path)
    robot.spin_until(lambda: any(float(each.get("rate_out_hz", "0")) > 0.0 for each in told))
    assert not robot.outside.count_publishers("/alert_node/results")


@pytest.mark.sky
def test_the_demo_needs_nothing_from_outside(robot: Any) -> None:
    pytest.importorskip("sncosmo")
    path = resources.path("config", "alerts_demo.yaml")
    node = robot.add(AlertNode(cli_args=["--ros-args", "--params-file", str(path)]))
    assert node.start(), node.problem
    results = listen(robot, "/alert_node/results")
    robot.spin_until(lambda: results)
    assert results[0]["object_id"].rpartition(" ")[0] in CLASSES


def test_the_parameter_file_that_ships_is_one(robot: Any, tmp_path: Path) -> None:
    path = resources.path("config", "alerts.yaml")
    node = robot.add(
        AlertNode(
            cli_args=["--ros-args", "--params-file", str(path)],
            overrides=[
                Parameter("source.zmq.endpoint", value=f"ipc://{tmp_path}/alerts"),
                Parameter("zmq.endpoint", value=f"ipc://{tmp_path}/results"),
            ],
        )
    )
    assert node.start(), node.problem
    results = listen(robot, "/alert_node/results")
    send_until(robot, tmp_path, lambda: results)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"model": "tokns"}, "cannot configure: "),
        ({"filter.results.keep": "epochs > 1"}, "that name has another output"),
        ({"filter.a.keep": "epochs > 1", "filter.a.topic": "results"}, "expected the name of a ROS topic"),
        ({"filter.a.keep": "epochs > 1", "filter.a.topic": "/a"}, "expected the name of a ROS topic below"),
        ({"filter.a.keep": "epochs > "}, "filter 'a': "),
        ({"filter.a.topic": "a"}, "'filter.a.keep' must be given"),
        ({"source.kind": "kafka", "kafka.bootstrap": "127.0.0.1:9"}, "cannot activate: topics: expected"),
        ({"source.kind": "files"}, "cannot activate: source.files: expected at least one file"),
        ({"source.zmq.endpoint": "tcp://0.0.0.0:5561"}, "other machines can reach"),
        ({"treshold": 0.5}, "did you mean 'threshold'?"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_reason(
    make: Make, values: dict[str, Any], expected: str
) -> None:
    node = make(starts=False, **{name.replace(".", "__"): value for name, value in values.items()})
    assert expected in node.problem


def test_alerts_with_too_many_epochs_are_dead_letters_and_their_source_is_named(
    robot: Any, make: Make, tmp_path: Path
) -> None:
    make(energy__guard__most=3.0, energy__guard__free=3.0, energy__guard__breaker__calls=64)
    told = diagnostics(robot)
    results = listen(robot, "/alert_node/results")
    send_until(robot, tmp_path, lambda: told and told[-1].get("guard.open") == "alerts" and results)
    assert max(record["detections"] for record in results) <= 3
    assert int(told[-1]["dead_letters.too many epochs for an alert of ztf"]) >= 5
    assert int(told[-1]["guard.cut"]) >= 5
    assert told[-1]["guard.refused"] == "0"
    warned = [each["message"] for each in told if each["message"].startswith("alerts: too many calls")]
    robot.spin_until(lambda: warned or told[-1]["message"].startswith("alerts: too many calls"))
