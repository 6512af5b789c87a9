# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The alert replay node: a night to whoever takes it, and every alert of it counted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.sim.sky import population
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.transport.zmq.packets import PacketReceiver
from lowlat_nodes.transport.zmq.work_source import WorkSource

pytestmark = pytest.mark.ros

PATIENCE_S = 60.0

Make = Callable[..., Any]


@pytest.fixture
def make(robot: Any) -> Make:
    from rclpy.parameter import Parameter

    from lowlat_nodes.nodes.alert_replay_node import AlertReplayNode

    def made(**parameters: Any) -> Any:
        values = {"per_second": 1000.0, **parameters}
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        return robot.add(AlertReplayNode(overrides=overrides))

    return made


def take(source: Any, count: int) -> list[bytes]:
    """Poll until so many packets came, committing each."""
    deadline = time.monotonic() + PATIENCE_S
    found: list[bytes] = []
    while len(found) < count:
        assert time.monotonic() < deadline
        found += [bytes(message.payload.data) for message in source.poll(count - len(found), 0.1)]
        source.commit()
    return found


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def values(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = node.report().values
    return found


def test_a_simulated_night_waits_for_its_receiver(make: Make, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/alerts"
    node = make(to=endpoint, simulated__alerts=25)
    assert node.start(), node.problem
    until(lambda: node.report().summary.startswith("waiting: no receiver had room"))
    assert (values(node)["sent"], values(node)["simulated"]) == (0, "true")
    with contextlib.closing(PacketReceiver(endpoint, SystemClock())) as receiver:
        packets = take(receiver, 25)
    until(lambda: values(node)["done"] == "true")
    assert (values(node)["sent"], values(node)["night"]) == (25, 25)
    assert values(node)["confirmed"] == "unknown"
    assert node.report().summary == "all 25 simulated alerts are sent"
    assert len(set(packets)) == 25


def test_what_takes_work_confirms_it_and_what_dies_with_it_is_sent_again(make: Make, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/work"
    node = make(to=f"work:{endpoint}", simulated__alerts=40)
    assert node.start(), node.problem
    until(lambda: node.report().summary.startswith("waiting: nobody took work"))
    with contextlib.closing(WorkSource(endpoint, SystemClock())) as first:
        until(lambda: first.poll(10, 0.1))  # takes some, and commits none
    with contextlib.closing(WorkSource(endpoint, SystemClock())) as second:
        packets = take(second, 40)
        until(lambda: [second.poll(0, 0.01), values(node)["confirmed"] == 40][1])
    until(lambda: values(node)["done"] == "true")
    assert values(node)["sent"] == 40
    assert len(set(packets)) == 40


def test_recorded_alerts_again_and_again(make: Make, tmp_path: Path) -> None:
    night = tmp_path / "night"
    night.mkdir()
    for number in range(3):
        (night / f"{number}.avro").write_bytes(b"packet %d" % number)
    with contextlib.closing(PacketReceiver("tcp://127.0.0.1:0", SystemClock())) as receiver:
        node = make(path=[str(night)], to=receiver.endpoint, loop=0)
        assert node.start(), node.problem
        assert take(receiver, 7) == [b"packet %d" % (number % 3) for number in range(7)]
        assert values(node)["recorded"] == "true"
        assert values(node)["night"] == 3
        node.trigger_deactivate()
        while receiver.poll(100, 0.5):
            pass
        node.trigger_activate()
        assert take(receiver, 1) == [b"packet 0"]


def test_to_a_topic_of_ros(make: Make, robot: Any, tmp_path: Path) -> None:
    from std_msgs.msg import UInt8MultiArray

    (tmp_path / "a.avro").write_bytes(b"packet")
    heard = robot.listen(UInt8MultiArray, "/alerts")
    node = make(path=[str(tmp_path / "a.avro")], to="ros:alerts", loop=3)
    assert node.start(), node.problem
    robot.spin_until(lambda: len(heard) == 3)
    assert {bytes(message.data) for message in heard} == {b"packet"}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"to": "nowhere"}, "to nowhere: expected tcp://HOST:PORT"),
        ({"path": ["/nowhere/night"]}, "/nowhere/night: expected a file, a folder or a pattern"),
        ({"zmq.key": "me"}, "zmq: expected key and server_key together"),
        ({"zmq.workers": ["you"]}, "zmq.workers: expected work: in to"),
        (
            {"to": "work:tcp://127.0.0.1:0", "zmq.key": "a", "zmq.server_key": "b"},
            "zmq.server_key: expected none",
        ),
        ({"simulated.classes": ["SN"]}, "expected classes of SN Ia, SN II"),
        ({"simulated.alert": 3}, "did you mean 'simulated.alerts'"),
    ],
)
def test_wrong_parameters_are_refused(make: Make, parameters: dict[str, Any], words: str) -> None:
    node = make(**parameters)
    assert not node.start()
    assert words in node.problem


def test_what_the_sky_has_not_is_told(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(population, "NEEDS", {"SN Ia": "a_module_that_is_not_there"})
    node = make(to=f"ipc://{tmp_path}/nobody", simulated__alerts=3)
    assert node.start(), node.problem
    assert values(node)["missing"] == "no SN Ia: pip install 'lowlat_nodes[sky]' brings them"


def test_simulated_alerts_can_be_read_and_are_named_by_what_they_are(make: Make) -> None:
    with contextlib.closing(PacketReceiver("tcp://127.0.0.1:0", SystemClock())) as receiver:
        node = make(to=receiver.endpoint, simulated__alerts=12, simulated__seed=3)
        assert node.start(), node.problem
        found = receiver.poll(12, PATIENCE_S)
        while len(found) < 12:
            found += receiver.poll(12 - len(found), PATIENCE_S)
    read = Ingest().read([message.payload for message in found])
    assert not read.refused
    assert [name.rpartition(" ")[2] for name in read.light_curves.object_id] == [str(n) for n in range(12)]
