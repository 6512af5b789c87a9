# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat replay`: what it prints, writes, compares, refuses and returns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.nodes import processors
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import NO_FLOATS, Image, Joints, Text
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter, Topic
from lowlat_nodes.transport.bag.framing import ENCODING, pack
from lowlat_nodes.transport.zmq.frames import encode

STRING = "std_msgs/msg/String"
START_NS = 1_700_000_000_000_000_000

EXPECTED = {"rosbag2_talker": (20, 20), "nav2_costmap": (693, 462), "selfdriving_nav": (755, 755)}


def write(
    path: Path, count: int = 50, period_ns: int = 10_000_000, word: str = "x", topic: str = "/words"
) -> Path:
    with BagWriter(path) as writer:
        for index in range(count):
            stamp_ns = START_NS + index * period_ns
            writer.write(topic, STRING, stamp_ns, cdr.encode(STRING, 0, "", Text(f"{word} {index}")))
            writer.write("/map", "nav2_msgs/msg/Costmap", stamp_ns, b"\x00\x01\x00\x00" + bytes(8))
    return path


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write(tmp_path / "bag")


class Shout(Processor):
    """A processor of a user; refuses a word."""

    inputs = ("words",)

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.parameters = dict(parameters)

    def process(self, message: Message) -> Sequence[Message]:
        if message.payload.data == self.parameters.get("forbidden"):
            raise ValueError("a forbidden word")
        return [message.derive("~/loud", Text(message.payload.data.upper() + self.parameters.get("end", "")))]


def make_shout(parameters: Mapping[str, Any]) -> Shout:
    return Shout(parameters)


@pytest.fixture
def shout(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of that processor, registered as an installed package would."""
    monkeypatch.setitem(processors.BUILT_IN, "shout", f"{__name__}:make_shout")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    return "shout"


def replay(*arguments: object) -> int:
    return lowlat.main(["replay", *map(str, arguments)])


def words(path: Path) -> list[str]:
    with BagReader(path) as results:
        return [cdr.decode(message.type, message.data).payload.data for message in results.messages()]


def test_json_is_the_only_thing_on_standard_output(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(bag, "--processor", "throttle", "-p", "max_hz:=10.0", "--json") == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert (report["read"], report["published"], report["skipped"]) == (100, 50, 50)
    assert report["topics"]["/map"] == {
        "type": "nav2_msgs/msg/Costmap",
        "read": 50,
        "published": 0,
        "skipped": 50,
        "reason": "type nav2_msgs/msg/Costmap is not known here",
    }
    assert report["outputs"] == {"/words": 5}
    assert report["failures"] == {}
    assert report["damage"] == []
    assert "skipped 50 of /map: type nav2_msgs/msg/Costmap is not known here" in output.err


def test_twice_gives_the_same_bytes(bag: Path, tmp_path: Path) -> None:
    for name in ("a.mcap", "b.mcap"):
        assert replay(bag, "--processor", "throttle", "-p", "max_hz:=10", "--out", tmp_path / name) == 0
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()
    assert len(words(tmp_path / "a.mcap")) == 5


def test_results_of_a_former_run_are_replaced(bag: Path, tmp_path: Path, shout: str) -> None:
    out = tmp_path / "a.mcap"
    assert replay(bag, "--processor", "throttle", "-p", "max_hz:=10.0", "--out", out) == 0
    assert replay(bag, "--processor", shout, "--out", out) == 0
    assert words(out)[:2] == ["X 0", "X 1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mcap", "bag"]


def test_names_of_results_are_those_of_a_node(bag: Path, tmp_path: Path, shout: str) -> None:
    assert replay(bag, "--processor", shout, "--out", tmp_path / "a.mcap") == 0
    with BagReader(tmp_path / "a.mcap") as results:
        assert [topic.name for topic in results.topics] == ["/shout/loud"]


def test_the_file_of_a_node_that_hosts_the_processor_does(
    tmp_path: Path, shout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = write(tmp_path / "bag", topic="/talk"), tmp_path / "a.mcap"
    file = tmp_path / "shout.yaml"
    file.write_text(
        """
        /**/shout:
          ros__parameters:
            processor: shout
            parameters: {end: "!", forbidden: none}
            inputs: {words: {topic: talk, type: std_msgs/msg/String}}
            outputs: {loud: {type: std_msgs/msg/String}}
            mailbox: {kind: fifo}
        """
    )
    assert replay(bag, "--processor", shout, "--params", file, "--out", out) == 0
    assert words(out)[:2] == ["X 0!", "X 1!"]
    assert replay(bag, "--processor", shout, "--params", file, "-p", "end:=?", "--out", out) == 0
    assert words(out)[0] == "X 0?"
    assert replay(write(tmp_path / "other"), "--processor", shout, "--params", file, "--out", out) == 0
    assert words(out)[0] == "X 0!"  # from the topic that is called like the input
    assert "feeds the input" not in capsys.readouterr().err


def test_topics_are_remapped(tmp_path: Path, shout: str, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write(tmp_path / "bag", topic="/talk")
    assert replay(bag, "--processor", shout) == 0
    assert "no topic of the bag feeds the input 'words'" in capsys.readouterr().err
    out = tmp_path / "a.mcap"
    assert replay(bag, "--processor", shout, "--remap", "talk:=words", "--out", out) == 0
    assert words(out)[0] == "X 0"
    assert replay(bag, "--processor", shout, "--remap", "/tlk:=words") == 2
    assert "there is no topic '/tlk'; did you mean '/talk'?" in capsys.readouterr().err


@pytest.mark.parametrize("node", ["shout", "shout_node"])
def test_parameters_come_from_a_ros_parameter_file(bag: Path, tmp_path: Path, shout: str, node: str) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    use_sim_time: true\n"
        f"other:\n  ros__parameters:\n    end: '?'\n{node}:\n  ros__parameters:\n    end: '!'\n"
    )
    out = tmp_path / "a.mcap"
    assert replay(bag, "--processor", shout, "--params", file, "--out", out) == 0
    assert words(out)[0] == "X 0!"
    assert replay(bag, "--processor", shout, "--params", file, "--node", "other", "--out", out) == 0
    assert words(out)[0] == "X 0?"
    assert replay(bag, "--processor", shout, "--params", file, "-p", "end:=...", "--out", out) == 0
    assert words(out)[0] == "X 0..."


def test_a_failed_message_is_reported_in_the_exit_code(
    bag: Path, shout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(bag, "--processor", shout, "-p", "forbidden:=x 7", "--json") == 1
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert report["failures"] == {"process: ValueError": 1}
    assert report["outputs"] == {"/shout/loud": 49}
    assert "a forbidden word" in output.err


def test_check_finds_no_difference_and_the_first_one(
    bag: Path, tmp_path: Path, shout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = tmp_path / "golden.mcap"
    assert replay(bag, "--processor", shout, "--out", golden) == 0
    assert replay(bag, "--processor", shout, "--check", golden) == 0
    assert f"equal to {golden} (50 messages compared)" in capsys.readouterr().out
    other = write(tmp_path / "other", word="y")
    assert replay(other, "--processor", shout, "--check", golden, "--json") == 1
    output = capsys.readouterr()
    check = json.loads(output.out)["check"]
    assert check["equal"] is False
    assert check["difference"] == {
        "topic": "/shout/loud",
        "index": 0,
        "time_ns": START_NS,
        "field": "data",
        "expected": "X 0",
        "got": "Y 0",
    }
    assert (
        "first difference: /shout/loud [0] at 1700000000.000000000 data: expected X 0, got Y 0" in output.err
    )


def test_an_injected_difference_in_one_byte_is_found(bag: Path, tmp_path: Path, shout: str) -> None:
    golden, changed = tmp_path / "golden.mcap", tmp_path / "changed.mcap"
    assert replay(bag, "--processor", shout, "--out", golden) == 0
    with BagReader(golden) as original, BagWriter(changed) as writer:
        for index, message in enumerate(original.messages()):
            data = message.data.replace(b"X 31", b"Z 31") if index == 31 else message.data
            writer.write(*message._replace(data=data))
    assert replay(bag, "--processor", shout, "--check", changed) == 1


@pytest.mark.parametrize(("tolerance", "code"), [("5", 0), ("4.9", 1)])
def test_check_takes_a_tolerance_of_time(
    bag: Path, tmp_path: Path, shout: str, tolerance: str, code: int
) -> None:
    golden = tmp_path / "golden.mcap"
    assert replay(bag, "--processor", shout, "--out", golden) == 0
    later = tmp_path / "later"
    with BagReader(bag) as original, BagWriter(later) as writer:
        for message in original.messages():
            writer.write(*message._replace(stamp_ns=message.stamp_ns + 5_000_000, published_ns=0))
    assert replay(later, "--processor", shout, "--check", golden, "--time-tol-ms", tolerance) == code


def test_a_damaged_bag_is_replayed_and_reported(
    bag: Path, shout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (bag / "metadata.yaml").unlink()
    assert replay(bag, "--processor", shout, "--json") == 1
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert report["read"] == 100
    assert report["damage"] == ["there is no metadata.yaml: the recorder did not stop properly"]
    assert "warning: there is no metadata.yaml" in output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processor", "throtle"], "there is no processor 'throtle'; did you mean 'throttle'?"),
        (["--processor", "no_such_module:make"], "expected a factory at 'no_such_module:make'"),
        (["--processor", "lowlat_nodes.nodes.processors:nothing"], "expected a factory at"),
        (["--processor", "builtins:dict"], "expected its factory to make a Processor"),
        (["--processor", "throttle"], "parameter 'max_hz' must be given"),
        (["--processor", "throttle", "-p", "max_hs:=3.0"], "did you mean 'max_hz'?"),
        (
            ["--processor", "throttle", "-p", "max_hz:=3.0", "--out", "a.bag"],
            "expected a name that ends in .mcap",
        ),
        (
            ["--processor", "throttle", "-p", "max_hz:=3.0", "--out", "/nowhere/a.mcap"],
            "a folder that can be written",
        ),
        (["--processor", "throttle", "-p", "max_hz:=3.0", "--check", "/nowhere"], "there is none"),
        (["--processor", "throttle", "-p", "max_hz:=3.0", "--use-sim-time"], "needs a recorded '/clock'"),
        (["--processor", "throttle", "--params", "/nowhere.yaml"], "expected a ROS parameter file"),
    ],
)
def test_what_cannot_work_is_refused(
    bag: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(bag, *arguments) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "0"],
        ["--rate", "fast"],
        ["--loop", "0"],
        ["--clock", "-1"],
        ["--remap", "a"],
        ["--out", "a.mcap"],
        ["--check", "a.mcap"],
        ["-p", "a:=1"],
        ["--processor", "throttle", "--rate", "2"],
        ["--processor", "throttle", "--clock"],
        ["--processor", "throttle", "--topics", "/a"],
        ["--processor", "throttle", "--zmq", "tcp://127.0.0.1:0"],
        ["--info", "--rate", "2"],
        ["--info", "--processor", "throttle"],
        ["--info", "--out", "a.mcap"],
        ["--restamp"],
        ["--allow", "x"],
    ],
)
def test_wrong_command_lines_are_refused(bag: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        replay(bag, *arguments)
    assert exit_code.value.code == 2


def test_a_missing_bag_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path / "nothing") == 2
    assert "expected a rosbag2 directory or a file of one; there is none" in capsys.readouterr().err


def test_without_ros_the_error_says_what_to_install(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").write_text("raise ModuleNotFoundError('no ROS', name='rclpy')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "replay", str(bag)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "pip install 'lowlat_nodes[ros]'" in result.stderr
    offline = [*command, "--processor", "throttle", "-p", "max_hz:=10.0"]
    assert subprocess.run(offline, env=environment, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_bags_are_replayed_offline(
    data_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_dir / "bags" / name
    assert replay(path, "--processor", "throttle", "-p", "max_hz:=5.0", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["read"], report["published"]) == EXPECTED[name]


@pytest.mark.ros
@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_bags_are_replayed_on_ros(
    data_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_dir / "bags" / name
    assert replay(path, "--rate", "max", "--wait", "0", "--json") == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert (report["read"], report["published"]) == EXPECTED[name]
    assert report["read"] == report["published"] + report["skipped"]
    if report["skipped"]:
        assert (
            "skipping /local_costmap/costmap: type nav2_msgs/msg/Costmap is not installed here" in output.err
        )


def test_the_policy_takes_the_shipped_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = tmp_path / "bag"
    names = ("shoulder", "elbow", "wrist")
    numbers = np.random.default_rng(1)
    with BagWriter(bag) as writer:
        for index in range(100):
            stamp_ns = START_NS + index * 5_000_000
            joints = Joints(names, np.array([0.5, 0.6, 0.7]) + 0.001 * index, np.zeros(3), NO_FLOATS)
            data = cdr.encode("sensor_msgs/msg/JointState", stamp_ns, "", joints)
            writer.write("/joint_states", "sensor_msgs/msg/JointState", stamp_ns, data)
            if index % 6 == 0:
                image = Image(numbers.integers(0, 255, (120, 160, 3), dtype=np.uint8), "rgb8")
                data = cdr.encode("sensor_msgs/msg/Image", stamp_ns, "camera", image)
                writer.write("/camera/image", "sensor_msgs/msg/Image", stamp_ns, data)
    for name in ("a.mcap", "b.mcap"):
        assert replay(bag, "--processor", "policy", "--out", tmp_path / name, "--json") == 0
    output = capsys.readouterr()
    assert "config/policy.yaml" in output.err
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()
    with BagReader(tmp_path / "a.mcap") as results:
        assert results.count > 30
    assert replay(bag, "--processor", "policy", "--check", tmp_path / "a.mcap") == 0


def framed(path: Path, count: int = 20) -> Path:
    """Write a bag of two topics of ZeroMQ, whose publisher's clock is 2 s ahead."""
    with BagWriter(path) as writer:
        for name in ("zmq:words", "zmq:numbers"):
            writer.declare(Topic(name, "lowlat/x", encoding=ENCODING, endpoint="tcp://10.0.0.9:5557"))
        for index in range(count):
            stamp_ns = START_NS + index * 10_000_000
            sent_ns = stamp_ns + 2_000_000_000 - 1_000 * (1 + index % 3)
            for topic, payload in (("words", Text(f"x {index}")), ("numbers", np.zeros(3))):
                message = Message("x", payload, Trace(published_ns=sent_ns))
                data = pack(encode(message, topic, index, epoch=1))
                writer.write(f"zmq:{topic}", "lowlat/x", stamp_ns, data, sent_ns)
    return path


def test_a_processor_takes_topics_of_zeromq(tmp_path: Path, shout: str) -> None:
    bag = framed(tmp_path / "bag")
    out = tmp_path / "out.mcap"
    assert replay(bag, "--processor", shout, "--out", out) == 0
    assert words(out) == [f"X {index}" for index in range(20)]
    assert replay(bag, "--processor", shout, "--check", out) == 0
    assert replay(framed(tmp_path / "other", count=19), "--processor", shout, "--check", out) == 1


def test_info_says_what_is_in_a_bag_and_how_far_clocks_are_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = framed(tmp_path / "bag")
    assert replay(bag, "--info", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {
        "bag": str(bag),
        "messages": 40,
        "start_ns": START_NS,
        "seconds": 0.19,
        "topics": {
            name: {"type": "lowlat/x", "messages": 20, "endpoint": "tcp://10.0.0.9:5557"}
            for name in ("zmq:words", "zmq:numbers")
        },
        "clock_offset": {
            "tcp://10.0.0.9:5557": {"messages": 40, "least_ms": -1999.999, "median_ms": -1999.998}
        },
        "damage": [],
    }
    assert replay(bag, "--info") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["zmq:words", "lowlat/x", "20", "messages", "tcp://10.0.0.9:5557"]
    assert "received -1999.999 ms after its stamps at least, -1999.998 ms typically" in lines[2]
    assert lines[3] == "40 messages in 0.19 s"


def test_info_of_a_damaged_bag(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bag / "metadata.yaml").unlink()
    assert replay(bag, "--info") == 1
    output = capsys.readouterr()
    assert "100 messages" in output.out
    assert "there is no metadata.yaml" in output.err


def test_a_bag_of_zeromq_says_how_to_publish_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(framed(tmp_path / "bag")) == 2
    assert "its topics are of ZeroMQ; --zmq ENDPOINT publishes them" in capsys.readouterr().err


def test_a_bag_of_zeromq_is_published_without_ros(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = framed(tmp_path / "bag")
    endpoint = f"ipc://{tmp_path}/socket"
    arguments = ("--zmq", endpoint, "--topics", "words", "--rate", "max", "--wait", "0", "--json")
    assert replay(bag, *arguments) == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert (report["read"], report["published"]) == (40, 20)
    assert report["topics"]["zmq:numbers"]["reason"] == "not chosen"
    assert f"publishing at {endpoint}" in output.err
    assert "nobody listens to words" in output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--zmq", "nowhere"], "expected an address like"),
        (["--zmq", "tcp://0.0.0.0:5557"], "other machines can reach this address"),
        (["--zmq", "tcp://127.0.0.1:0,nothing"], "there is no topic"),
        (["--zmq", "tcp://127.0.0.1:0", "--allow", "x"], "expected --key with --allow"),
        (["--zmq", "tcp://127.0.0.1:0", "--topics", "zmq:word"], "did you mean 'zmq:words'?"),
    ],
)
def test_what_cannot_be_published_over_zeromq_is_refused(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(framed(tmp_path / "bag"), *arguments) == 2
    assert message in capsys.readouterr().err
