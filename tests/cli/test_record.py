# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat record`, as the process that a user starts: what is sent over DDS is in the bag."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgpack
import numpy as np
import pytest
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability

from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image, Text
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr, segments
from lowlat_nodes.transport.bag import BagError, BagReader, BagWriter, Recorded, Topic, qos
from lowlat_nodes.transport.bag.framing import ENCODING, pack, unpack
from lowlat_nodes.transport.zmq.curve import new_pair
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.key_store import KeyStore

STRING = "std_msgs/msg/String"
START_NS = 1_700_000_000_000_000_000
PATIENCE_S = 60.0

# Deeper than the bags here are long: all that a publisher keeps for a recorder that has to wait for a core.
BEST_EFFORT = Qos(
    QosHistory.KEEP_LAST, 1000, QosReliability.BEST_EFFORT, QosDurability.VOLATILE,
    qos.INFINITE, qos.INFINITE, QosLiveliness.AUTOMATIC, qos.INFINITE, False,
)  # fmt: skip
RELIABLE = BEST_EFFORT._replace(reliability=QosReliability.RELIABLE)
LATCHED = RELIABLE._replace(durability=QosDurability.TRANSIENT_LOCAL)


class Command:
    """A `lowlat` process; a thread for each of its two streams is the only reader of it."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lowlat_nodes.cli.main", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []  # of standard error
        self._output: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=[self.process.stdout, self._output]),
            threading.Thread(target=self._read, args=[self.process.stderr, self.lines]),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: IO[str], lines: list[str]) -> None:
        with stream:
            lines.extend(line.rstrip("\n") for line in stream)

    def wait_for(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, "\n".join(self.lines)
            assert time.monotonic() < deadline, "\n".join(self.lines)
            time.sleep(0.02)

    def says(self, words: str) -> None:
        self.wait_for(lambda: any(words in line for line in self.lines))

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Wait for the end, told by a signal or not; return the exit code and standard output."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join()
        return code, "\n".join(self._output)

    def kill(self) -> None:
        self.process.kill()
        self.end()


@pytest.fixture
def start() -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def run(*arguments: object) -> Command:
        started.append(Command(*arguments))
        return started[-1]

    yield run
    for command in started:
        command.kill()


def write(
    path: Path, topics: dict[str, Qos], count: int = 60, period_ns: int = 5_000_000, says: str = ""
) -> Path:
    with BagWriter(path) as writer:
        for name, profile in topics.items():
            writer.declare(Topic(name, STRING, (profile,)))
        for index in range(count):
            for name in topics:
                data = cdr.encode(STRING, 0, "", Text(f"{name} {says}{index} {'.' * index}"))
                writer.write(name, STRING, START_NS + index * period_ns, data)
    return path


def word(message: Recorded) -> str:
    """What was said; DDS pads messages to whole words, so bytes may be more."""
    decoded: str = cdr.decode(STRING, message.data).payload.data
    return decoded


def report(output: str) -> Any:
    """The JSON object on standard output, where Fast DDS prints what it logs before it."""
    return json.loads(output[output.index("{") :])


def by_topic(path: Path) -> dict[str, list[str]]:
    with BagReader(path) as bag:
        found: dict[str, list[str]] = {topic.name: [] for topic in bag.topics}
        for message in bag.messages():
            found[message.topic].append(word(message))
        assert bag.damage == []
    return found


def messages(path: Path) -> list[Recorded]:
    """What is in a bag, or in what there is of it so far."""
    try:
        with BagReader(path) as bag:
            return list(bag.messages())
    except BagError:
        return []


def segments_of(pid: int) -> list[Path]:
    """The lock files of Fast DDS that a process holds open."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = descriptor.readlink()
            if re.fullmatch(r"(fastrtps|fastdds)_[0-9a-f]{16}_el", target.name):
                found.append(target)
    return found


@pytest.mark.ros
def test_what_is_replayed_is_recorded(tmp_path: Path, start: Callable[..., Command]) -> None:
    topics = {"/reliable": RELIABLE, "/lossy": BEST_EFFORT, "/latched": LATCHED}
    # So long that the recorder has learned of every publisher before the last message.
    source = write(tmp_path / "source", topics, count=600)
    out = tmp_path / "recorded"
    record = start("record", *topics, "-o", out, "--json")
    player = start("replay", source, "--wait", PATIENCE_S, "--json")
    code, output = player.end()
    played = report(output)
    assert code == 0, player.lines
    assert played["published"] == 1800
    code, output = record.end(signal.SIGINT)
    recorded = report(output)
    assert recorded["bag"] == str(out)
    assert recorded["dropped"] == 0
    assert code == (1 if recorded["lost"] else 0), record.lines
    found, sent = by_topic(out), by_topic(source)
    assert {name: count["messages"] for name, count in recorded["topics"].items()} == {
        name: len(words) for name, words in found.items()
    }
    for name in ("/reliable", "/latched"):
        assert found[name] == sent[name]
    # Best effort may lose some on a busy machine, but neither disorder nor repeat them.
    assert found["/lossy"]
    assert found["/lossy"] == [said for said in sent["/lossy"] if said in found["/lossy"]]


@pytest.mark.ros
def test_the_recording_keeps_quality_of_service_and_both_stamps(
    tmp_path: Path, start: Callable[..., Command]
) -> None:
    topics = {"/lossy": BEST_EFFORT, "/latched": LATCHED}
    source, out = write(tmp_path / "source", topics, count=400), tmp_path / "recorded.mcap"
    before_ns = time.time_ns()
    record = start("record", *topics, "-o", out)
    assert start("replay", source, "--wait", PATIENCE_S).end()[0] == 0
    _, output = record.end(signal.SIGTERM)
    after_ns = time.time_ns()
    with BagReader(out) as bag:
        profiles = {topic.name: topic.qos for topic in bag.topics}
        hashes = {topic.type_hash for topic in bag.topics}
    assert [profile.reliability for profile in profiles["/lossy"]] == [QosReliability.BEST_EFFORT]
    assert [profile.durability for profile in profiles["/latched"]] == [QosDurability.TRANSIENT_LOCAL]
    assert all(type_hash.startswith("RIHS01_") for type_hash in hashes)
    found = messages(out)
    assert f"{len(found)} messages in {out}" in output
    assert len(found) > 400
    assert all(before_ns < message.published_ns <= message.stamp_ns < after_ns for message in found)
    # Each is stamped when it was received, not when the recorder looked.
    assert len({message.stamp_ns for message in found}) == len(found)


@pytest.mark.ros
def test_all_topics_are_recorded_as_they_appear_and_hidden_ones_are_not(
    tmp_path: Path, start: Callable[..., Command]
) -> None:
    out = tmp_path / "recorded"
    record = start("record", "--all", "--exclude", "/parameter_.*|/not.*", "-o", out, "--json")
    names = ("/early", "/notes", "/part/_hidden")
    first = write(tmp_path / "first", dict.fromkeys(names, RELIABLE), period_ns=50_000_000)
    second = write(tmp_path / "second", {"/late": RELIABLE}, count=10)
    playing = start("replay", first, "--wait", 0, "--loop", 100)
    record.says("recording /early [std_msgs/msg/String]")
    assert start("replay", second, "--wait", PATIENCE_S).end()[0] == 0
    assert playing.end(signal.SIGINT)[0] == 130
    _, output = record.end(signal.SIGINT)
    topics = report(output)["topics"]
    assert {*names, "/late", "/rosout", "/parameter_events"} & set(topics) == {"/early", "/late"}
    assert topics["/late"]["messages"] == 10
    assert by_topic(out)["/late"] == by_topic(second)["/late"]


@pytest.mark.ros
def test_a_publisher_that_offers_less_is_heard_too(tmp_path: Path, start: Callable[..., Command]) -> None:
    reliable = write(tmp_path / "reliable", {"/a": RELIABLE}, period_ns=50_000_000)
    lossy = write(tmp_path / "lossy", {"/a": BEST_EFFORT}, period_ns=50_000_000, says="lossy ")
    out = tmp_path / "out"
    record = start("record", "/a", "-o", out)
    first = start("replay", reliable, "--loop", 100)
    record.says("recording /a")
    second = start("replay", lossy, "--loop", 100)
    record.says("/a: a publisher offers less; subscribed anew")
    record.wait_for(lambda: any("lossy" in word(message) for message in messages(out)))
    for playing in (first, second):
        assert playing.end(signal.SIGINT)[0] == 130
    record.end(signal.SIGINT)


@pytest.mark.ros
def test_a_killed_recorder_leaves_what_it_wrote(tmp_path: Path, start: Callable[..., Command]) -> None:
    source = write(tmp_path / "source", {"/a": RELIABLE}, count=400)
    out = tmp_path / "out"
    record = start("record", "/a", "-o", out)
    playing = start("replay", source, "--wait", PATIENCE_S, "--loop", 100)
    file = out / "out_0.mcap"
    record.wait_for(lambda: file.is_file() and file.stat().st_size > 20_000)
    left = segments_of(record.process.pid)
    record.kill()
    assert playing.end(signal.SIGINT)[0] == 130
    assert not (out / "metadata.yaml").exists()
    with BagReader(out) as bag:
        found = list(bag.messages())
        assert bag.damage
    sent = by_topic(source)["/a"]
    first = sent.index(word(found[0]))
    assert len(found) > 50
    assert list(map(word, found)) == [sent[(first + index) % 400] for index in range(len(found))]
    deadline = time.monotonic() + PATIENCE_S
    while any(path.exists() for path in left) and time.monotonic() < deadline:
        segments.reap()  # what a killed process leaves in shared memory
        time.sleep(0.1)


@pytest.mark.ros
def test_simulated_time_stamps_the_recording(tmp_path: Path, start: Callable[..., Command]) -> None:
    source, out = write(tmp_path / "source", {"/a": RELIABLE}, count=100), tmp_path / "out.mcap"
    record = start("record", "/a", "-o", out, "--use-sim-time", "--json")
    record.says("waiting for /clock")
    playing = start("replay", source, "--clock", 200, "--wait", 1, "--loop", 1000)
    # It begins when the first /clock comes.
    record.wait_for(lambda: len(messages(out)) >= 100)
    assert playing.end(signal.SIGINT)[0] == 130
    record.end(signal.SIGINT)
    found = messages(out)
    assert len(found) >= 100
    end_ns = START_NS + 100 * 5_000_000
    assert all(START_NS <= message.stamp_ns <= end_ns for message in found)
    assert all(message.published_ns == message.stamp_ns for message in found)


@pytest.mark.ros
def test_recording_ends_after_its_duration_and_tells_what_never_came(
    tmp_path: Path, start: Callable[..., Command]
) -> None:
    code, output = start("record", "/nobody", "-o", tmp_path / "out", "--duration", 0.5, "--json").end()
    recorded = report(output)
    assert code == 0
    assert (recorded["messages"], recorded["skipped"]) == (0, {"/nobody": "never seen"})
    assert by_topic(tmp_path / "out") == {}


@pytest.mark.ros
def test_ros_arguments_remap(tmp_path: Path, start: Callable[..., Command]) -> None:
    source = write(tmp_path / "source", {"/a": RELIABLE}, count=20)
    out = tmp_path / "out"
    record = start("record", "listened", "-o", out, "--ros-args", "-r", "listened:=/robot/a")
    assert start("replay", source, "--remap", "/a:=/robot/a", "--wait", PATIENCE_S).end()[0] == 0
    assert record.end(signal.SIGINT)[0] == 0
    assert by_topic(out)["/robot/a"] == by_topic(source)["/a"]


@pytest.mark.ros
def test_a_recording_is_split_by_size(tmp_path: Path, start: Callable[..., Command]) -> None:
    source, out = write(tmp_path / "source", {"/a": RELIABLE}, count=600), tmp_path / "out"
    record = start("record", "/a", "-o", out, "--max-size", "0.02")
    assert start("replay", source, "--wait", PATIENCE_S).end()[0] == 0
    assert record.end(signal.SIGINT)[0] == 0
    assert len(list(out.glob("*.mcap"))) > 1
    assert by_topic(out) == by_topic(source)


@pytest.mark.ros
def test_a_folder_that_exists_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lowlat.main(["record", "/a", "-o", str(tmp_path)]) == 2
    assert "exists already; choose another name" in capsys.readouterr().err


def test_a_disk_with_too_little_room_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lowlat.main(["record", "/a", "-o", str(tmp_path / "bag"), "--min-free", "1e12"]) == 2
    assert "expected at least 1e+12 MB free on its disk" in capsys.readouterr().err
    assert not (tmp_path / "bag").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["/a", "--all"],
        ["/a", "--duration", "0"],
        ["/a", "--max-size", "-1"],
        ["/a", "--compression", "gzip"],
        ["--zmq", ""],
        ["--zmq", "tcp://127.0.0.1:1,,a"],
        ["--zmq", "tcp://127.0.0.1:1", "--use-sim-time"],
    ],
)
def test_wrong_command_lines_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        lowlat.main(["record", *arguments])
    assert exit_code.value.code == 2


@pytest.mark.ros
def test_a_wrong_expression_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert lowlat.main(["record", "--all", "--exclude", "(", "-o", os.devnull]) == 2
    assert "expected a regular expression, got '('" in capsys.readouterr().err


def zmq_bag(path: Path, count: int = 60, period_ns: int = 5_000_000) -> Path:
    """Write a bag of a ROS topic and two topics of ZeroMQ."""
    with BagWriter(path) as writer:
        writer.declare(Topic("/words", STRING, (RELIABLE,)))
        for name in ("zmq:numbers", "zmq:camera"):
            writer.declare(Topic(name, "lowlat/x", encoding=ENCODING, endpoint="tcp://10.0.0.9:5557"))
        for index in range(count):
            stamp_ns = START_NS + index * period_ns
            writer.write("/words", STRING, stamp_ns, cdr.encode(STRING, 0, "", Text(f"word {index}")))
            trace = Trace(capture_ns=stamp_ns - 900, published_ns=stamp_ns - 500)
            picture = Image(np.full((48, 64, 3), index % 256, np.uint8), "rgb8")
            for topic, payload in (("numbers", np.arange(4.0) + index), ("camera", picture)):
                frames = encode(Message("x", payload, trace), topic, index + 30, epoch=4, via=("a",))
                writer.write(f"zmq:{topic}", "lowlat/x", stamp_ns + 1, pack(frames), stamp_ns - 500)
    return path


def framed(path: Path) -> dict[str, list[Any]]:
    """What a bag holds of ZeroMQ by topic: frames, but for number and run of the publisher."""
    found: dict[str, list[Any]] = {}
    with BagReader(path) as bag:
        for message in bag.messages():
            if message.topic.startswith("zmq"):
                topic, header, *arrays = map(bytes, unpack(message.data))
                fields = {**msgpack.unpackb(header), "seq": 0, "epoch": 0}
                found.setdefault(message.topic, []).append((topic, fields, arrays, message.published_ns))
        assert bag.damage == []
    return found


@pytest.fixture
def without_ros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide ROS from the commands that are started."""
    (tmp_path / "hidden" / "rclpy").mkdir(parents=True)
    text = "raise ModuleNotFoundError('no ROS', name='rclpy')"
    (tmp_path / "hidden" / "rclpy" / "__init__.py").write_text(text)
    path = os.pathsep.join(filter(None, [str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.usefixtures("without_ros")
def test_zeromq_is_recorded_replayed_and_recorded_again_without_ros(
    tmp_path: Path, start: Callable[..., Command]
) -> None:
    source, endpoint = zmq_bag(tmp_path / "source"), f"ipc://{tmp_path}/socket"
    record = start("record", "--zmq", endpoint, "-o", tmp_path / "again", "--json")
    player = start("replay", source, "--zmq", endpoint, "--wait", PATIENCE_S, "--rate", "max", "--json")
    code, output = player.end()
    assert code == 0, player.lines
    played = report(output)
    assert (played["read"], played["published"]) == (180, 120)
    assert played["topics"]["/words"]["reason"] == "nothing here publishes it: ROS"
    record.wait_for(lambda: len(messages(tmp_path / "again")) == 120)
    code, output = record.end(signal.SIGINT)
    recorded = report(output)
    assert code == 0, record.lines
    assert (recorded["messages"], recorded["malformed"], recorded["skipped"]) == (120, 0, {})
    assert recorded["topics"]["zmq:camera"] == {
        "type": "lowlat/image", "messages": 60, "dropped": 0, "lost": 0
    }  # fmt: skip
    assert recorded["zmq"]["zmq"]["endpoint"] == endpoint
    assert recorded["zmq"]["zmq"]["clock_offset"]["messages"] == 120
    assert framed(tmp_path / "again") == framed(source)


@pytest.mark.ros
def test_both_worlds_are_recorded_into_one_bag(tmp_path: Path, start: Callable[..., Command]) -> None:
    # So slow that what a recorder has to wait for a core is no loss.
    source, endpoint = zmq_bag(tmp_path / "source", 150, 20_000_000), f"ipc://{tmp_path}/socket"
    out = tmp_path / "again"
    record = start("record", "/words", "--zmq", f"{endpoint},camera", "-o", out, "--json")
    player = start("replay", source, "--zmq", f"{endpoint},camera", "--wait", PATIENCE_S, "--json")
    code, output = player.end()
    assert code == 0, player.lines
    assert report(output)["published"] == 300
    record.wait_for(lambda: sum(message.topic != "/words" for message in messages(out)) == 150)
    _, output = record.end(signal.SIGINT)
    assert set(report(output)["topics"]) == {"/words", "zmq:camera"}
    with BagReader(out) as bag:
        found = list(bag.messages())
    words = [word(message) for message in found if message.topic == "/words"]
    assert words == [f"word {index}" for index in range(150)][-len(words) :]
    assert len(words) > 75
    # The order of their receipt, in one clock: words and pictures take turns.
    order = [message.topic for message in found if message.stamp_ns > found[len(found) // 4].stamp_ns]
    assert sum(first != second for first, second in itertools.pairwise(order)) > len(order) // 2
    assert framed(out) == {"zmq:camera": framed(source)["zmq:camera"]}


@pytest.mark.usefixtures("without_ros")
def test_two_publishers_may_have_one_topic(tmp_path: Path, start: Callable[..., Command]) -> None:
    source = zmq_bag(tmp_path / "source", count=10)
    endpoints = [f"ipc://{tmp_path}/{name}" for name in ("one", "two")]
    out = tmp_path / "out.mcap"
    record = start("record", "--zmq", endpoints[0], "--zmq", f"{endpoints[1]},numbers,nothing", "-o", out)
    topics = (["numbers", "camera"], ["numbers"])
    for endpoint, chosen in zip(endpoints, topics, strict=True):
        options = ("--wait", PATIENCE_S, "--rate", "max", "--topics", *chosen)
        player = start("replay", source, "--zmq", endpoint, *options)
        assert player.end()[0] == 0, player.lines
    record.wait_for(lambda: len(messages(out)) == 30)
    _, output = record.end(signal.SIGTERM)
    found = framed(out)
    assert set(found) == {"zmq:numbers", "zmq:camera", "zmq2:numbers"}
    assert found["zmq2:numbers"] == found["zmq:numbers"] == framed(source)["zmq:numbers"]
    assert "not recorded: zmq2:nothing: nothing came" in output


@pytest.mark.usefixtures("without_ros")
def test_a_publisher_with_keys_is_recorded(
    tmp_path: Path, start: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_KEYS", str(tmp_path / "keys"))
    store, pairs = KeyStore(), {name: new_pair() for name in ("robot", "laptop")}
    for name, pair in pairs.items():
        store.add_pair(name, pair.public, pair.secret)
    store.allow("robot", pairs["laptop"].public, "laptop")
    source, out = zmq_bag(tmp_path / "source", count=20), tmp_path / "out.mcap"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    record = start("record", "--zmq", endpoint, "--key", "laptop", "--server-key", "robot", "-o", out)
    options = ("--wait", PATIENCE_S, "--rate", "max")
    player = start("replay", source, "--zmq", endpoint, "--key", "robot", *options)
    assert player.end()[0] == 0, player.lines
    record.wait_for(lambda: len(messages(out)) == 40)
    assert record.end(signal.SIGINT)[0] == 0
    assert framed(out) == framed(source)


@pytest.mark.usefixtures("without_ros")
def test_a_recording_of_nobody_tells_so(tmp_path: Path, start: Callable[..., Command]) -> None:
    endpoint = f"ipc://{tmp_path}/nobody"
    code, output = start(
        "record", "--zmq", endpoint, "-o", tmp_path / "out", "--duration", "0.3", "--json"
    ).end()
    assert code == 0
    assert report(output)["skipped"] == {f"zmq: {endpoint}": "nothing came: nobody listens there"}
    with BagReader(tmp_path / "out") as bag:
        assert list(bag.messages()) == []


@pytest.mark.usefixtures("without_ros")
def test_ros_topics_need_ros(tmp_path: Path, start: Callable[..., Command]) -> None:
    record = start("record", "/a", "--zmq", f"ipc://{tmp_path}/x", "-o", tmp_path / "out")
    assert record.end()[0] == 2
    assert any("pip install 'lowlat_nodes[ros]'" in line for line in record.lines)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--zmq", "nowhere"], "expected an address like"),
        (["--zmq", "tcp://127.0.0.1:1,@x"], "do not begin with '@'"),
        (["--zmq", "tcp://127.0.0.1:1", "--key", "x"], "--key and --server-key together"),
        (
            ["--zmq", "tcp://127.0.0.1:1", "--key", "x", *["--server-key", "y"] * 2],
            "expected one --server-key, or one for each of 1 publishers; got 2",
        ),
    ],
)
def test_wrong_publishers_are_refused(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lowlat.main(["record", *arguments, "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_ros")
def test_a_killed_recorder_of_zeromq_leaves_what_it_wrote(
    tmp_path: Path, start: Callable[..., Command]
) -> None:
    source, out = zmq_bag(tmp_path / "source", count=400), tmp_path / "out"
    endpoint = f"ipc://{tmp_path}/socket"
    record = start("record", "--zmq", endpoint, "-o", out)
    options = ("--wait", PATIENCE_S, "--rate", "max", "--loop", 100)
    playing = start("replay", source, "--zmq", endpoint, *options)
    file = out / "out_0.mcap"
    record.wait_for(lambda: file.is_file() and file.stat().st_size > 3_000_000)
    record.kill()
    assert playing.end(signal.SIGINT)[0] == 130
    assert not (out / "metadata.yaml").exists()
    with BagReader(out) as bag:
        found = [message for message in bag.messages() if message.topic == "zmq:numbers"]
        assert bag.damage
    first = [np.frombuffer(unpack(message.data)[2])[0] for message in found]
    assert len(first) > 100
    assert first == [float(index % 400) for index in range(len(first))]
