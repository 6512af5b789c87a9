# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The recorder node: a bag for each activation, complete whatever ends it; a reason where there is none."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.nodes.bag import disk as bag_disk
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader

pytestmark = pytest.mark.ros

STRING = "std_msgs/msg/String"
PATIENCE_S = 60.0

Make = Callable[..., Any]


@pytest.fixture
def make(robot: Any, tmp_path: Path) -> Make:
    from rclpy.parameter import Parameter

    from lowlat_nodes.nodes.recorder_node import RecorderNode

    def made(*, ros: dict[str, Any] | None = None, **parameters: Any) -> Any:
        values = {"folder": str(tmp_path / "bags"), "bag.min_free_mb": 0.0, **parameters}
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        return robot.add(RecorderNode(overrides=overrides, **(ros or {})))

    return made


@pytest.fixture
def say(robot: Any) -> Callable[..., None]:
    """Publish numbered words on a topic until a condition holds."""
    from std_msgs.msg import String

    publishers: dict[str, Any] = {}
    numbers = itertools.count()

    def until(topic: str, condition: Callable[[], Any]) -> None:
        if topic not in publishers:
            publishers[topic] = robot.outside.create_publisher(String, topic, 100)

        def again() -> bool:
            publishers[topic].publish(String(data=str(next(numbers))))
            return bool(condition())

        robot.spin_until(again)

    return until


def words(path: Path) -> dict[str, list[str]]:
    with BagReader(path) as bag:
        assert bag.damage == []
        found: dict[str, list[str]] = {topic.name: [] for topic in bag.topics}
        for message in bag.messages():
            if message.type == STRING:
                found[message.topic].append(cdr.decode(STRING, message.data).payload.data)
        return found


def written(node: Any) -> int:
    count: int = node._session.recording.disk.written
    return count


def bags(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "bags").iterdir())


def value(node: Any, name: str) -> Any:
    return node.report().values[name]


def test_each_activation_is_a_bag(make: Make, say: Callable[..., None], tmp_path: Path) -> None:
    node = make(topics=["/words"], name="run")
    assert node.start(), node.problem
    say("/words", lambda: written(node) >= 3)
    assert value(node, "file") == str(tmp_path / "bags" / "run")
    node.trigger_deactivate()
    first = words(tmp_path / "bags" / "run")["/words"]
    assert len(first) >= 3
    assert first == sorted(first, key=int)
    node.trigger_activate()
    say("/words", lambda: written(node) >= 2)
    node.trigger_deactivate()
    assert [path.name for path in bags(tmp_path)] == ["run", "run_2"]
    second = words(tmp_path / "bags" / "run_2")["/words"]
    assert len(second) >= 2
    assert int(second[0]) > int(first[-1])
    assert words(tmp_path / "bags" / "run")["/words"] == first


def test_relative_names_are_those_of_its_namespace_and_are_remapped(
    make: Make, say: Callable[..., None], tmp_path: Path
) -> None:
    ros = {"namespace": "robot", "cli_args": ["--ros-args", "-r", "heard:=said"]}
    node = make(topics=["words", "heard"], name="run.mcap", ros=ros)
    assert node.start(), node.problem
    say("/robot/words", lambda: written(node) >= 1)
    say("/robot/said", lambda: len(node._session.recording.topics) == 2)
    node.trigger_deactivate()
    found = words(tmp_path / "bags" / "run.mcap")
    assert set(found) == {"/robot/words", "/robot/said"}
    assert all(found.values())


def test_all_but_what_is_excluded(make: Make, say: Callable[..., None], tmp_path: Path) -> None:
    node = make(exclude="/(secret|rosout|parameter_events)", name="run")
    assert node.start(), node.problem
    say("/words", lambda: "/words" in node._session.recording.topics and written(node))
    say("/secret", lambda: "/diagnostics" in node._session.recording.topics)
    node.trigger_deactivate()
    found = words(tmp_path / "bags" / "run")
    assert {"/words", "/diagnostics"} <= set(found)
    assert not {"/secret", "/rosout", "/parameter_events"} & set(found)


def test_a_disk_with_too_little_room_is_not_begun_and_ends_a_recording(
    make: Make, say: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make(topics=["/words"], name="run", bag__min_free_mb=10.0)
    monkeypatch.setattr(bag_disk, "free_bytes", lambda _path: 9_000_000)
    assert not node.start()
    assert "expected at least 10 MB free on its disk, got 9 MB" in node.problem
    assert not (tmp_path / "bags").exists()
    monkeypatch.setattr(bag_disk, "free_bytes", lambda _path: 11_000_000)
    assert node.start(), node.problem
    say("/words", lambda: written(node) >= 1)
    monkeypatch.setattr(bag_disk, "free_bytes", lambda _path: 9_000_000)
    say("/words", lambda: node._session.recording.problem)
    report = node.report()
    assert report.level == 2
    assert report.summary.startswith("stopped: ")
    assert "expected at least 10 MB free" in report.summary
    assert words(tmp_path / "bags" / "run")["/words"]
    monkeypatch.setattr(bag_disk, "free_bytes", lambda _path: 11_000_000)
    node.trigger_deactivate()
    node.trigger_activate()
    say("/words", lambda: written(node) >= 1)
    assert node.report().level == 0


def test_a_bag_that_is_large_enough_ends(make: Make, say: Callable[..., None], tmp_path: Path) -> None:
    node = make(topics=["/words"], name="run", bag__max_mb=0.0005)
    assert node.start(), node.problem
    say("/words", lambda: node._session.recording.problem)
    assert "run: has the 0.0005 MB that it may have" in node.report().summary
    assert words(tmp_path / "bags" / "run")["/words"]


def test_simulated_time_stamps_the_messages(make: Make, robot: Any, tmp_path: Path) -> None:
    from rosgraph_msgs.msg import Clock
    from std_msgs.msg import String

    node = make(topics=["/words"], name="run", use_sim_time=True)
    assert node.start(), node.problem
    assert node.report().summary == "waiting for /clock"
    clock = robot.outside.create_publisher(Clock, "/clock", 10)
    publisher = robot.outside.create_publisher(String, "/words", 10)
    now = Clock()
    now.clock.sec = 42

    def again() -> bool:
        clock.publish(now)
        publisher.publish(String(data="0"))
        return bool(written(node))

    robot.spin_until(again)
    node.trigger_deactivate()
    with BagReader(tmp_path / "bags" / "run") as bag:
        assert {message.stamp_ns for message in bag.messages()} == {42_000_000_000}


def test_what_a_zeromq_publisher_says_has_its_name_in_the_bag(make: Make, robot: Any, tmp_path: Path) -> None:
    from lowlat_nodes.stream.message import Message
    from lowlat_nodes.stream.payload import Text
    from lowlat_nodes.transport.zmq.publisher import Publisher

    publisher = Publisher("tcp://127.0.0.1:0", {"words": "words"})
    node = make(exclude=".*", name="run", **{"zmq.arm.endpoint": publisher.endpoint})
    assert node.start(), node.problem

    def again() -> bool:
        publisher.write(Message("words", Text("yes")))
        return bool(written(node))

    robot.spin_until(again)
    node.trigger_deactivate()
    publisher.close()
    with BagReader(tmp_path / "bags" / "run") as bag:
        assert [topic.name for topic in bag.topics] == ["arm:words"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"exclude": "("}, "exclude: expected a regular expression, got '('"),
        ({"name": "a/b"}, "name: expected the name of a bag in the folder"),
        ({"name": "run.mcap", "bag.split_mb": 1.0}, "bag.split_mb: expected 0 where name ends in .mcap"),
        ({"zmq.a.endpoint": "nowhere"}, "nowhere"),
        ({"compresion": "zstd"}, "did you mean 'bag.compression'"),
    ],
)
def test_wrong_parameters_are_refused(make: Make, parameters: dict[str, Any], words: str) -> None:
    node = make(**parameters)
    assert not node.start()
    assert words in node.problem


def test_a_folder_that_cannot_be_written_to_is_told(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    node = make(folder=str(tmp_path / "file" / "bags"))
    assert not node.start()
    assert "cannot be" in node.problem
    assert node.state == "inactive"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_completes_the_bag(number: signal.Signals, tmp_path: Path) -> None:
    arguments = ["-p", f"folder:={tmp_path}", "-p", "name:=run", "-p", "bag.min_free_mb:=0.0"]
    command = [sys.executable, "-m", "lowlat_nodes.nodes.recorder_node", "--ros-args", *arguments]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + PATIENCE_S
        # Its own diagnostics are the first to be in it.
        while not any(path.stat().st_size > 3000 for path in tmp_path.glob("run/*.mcap")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
    assert "/diagnostics" in words(tmp_path / "run")


def test_numbers_follow_what_is_there(tmp_path: Path) -> None:
    from lowlat_nodes.nodes.bag.recorder_config import RecorderConfig

    config = RecorderConfig(folder=str(tmp_path), name="run.mcap")
    for expected in ("run.mcap", "run_2.mcap", "run_3.mcap"):
        path = config.new_path()
        assert path.name == expected
        path.touch()
    with pytest.raises(ConfigurationError):
        RecorderConfig(name="")
