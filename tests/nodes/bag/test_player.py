# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag is published whole, in order, in its time, and what is not published is told."""

from __future__ import annotations

import itertools
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Text
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter, Recorded, Topic, qos

pytestmark = pytest.mark.ros

STRING = "std_msgs/msg/String"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 5_000_000
COUNT = 40
PATIENCE_S = 60.0

LATCHED = Qos(
    QosHistory.KEEP_LAST, 5, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
    qos.INFINITE, qos.INFINITE, QosLiveliness.AUTOMATIC, qos.INFINITE, False,
)  # fmt: skip


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


class Listener:
    """Takes what comes on a topic, bytes and all."""

    def __init__(self, node: Any, topic: str, kind: Any, **policies: Any) -> None:
        from rclpy.qos import QoSProfile

        self.data: list[bytes] = []
        self._kind = kind
        profile = QoSProfile(depth=1000, **policies)
        self._subscription = node.create_subscription(kind, topic, lambda _: None, profile, raw=True)

    def wait_for_publisher(self) -> None:
        """Wait until nothing that is published from now on is missed."""
        wait_for(self._subscription.get_publisher_count)

    def take(self) -> list[bytes]:
        with self._subscription.handle:
            while (taken := self._subscription.handle.take_message(self._kind, True)) is not None:
                self.data.append(taken[0])
        return self.data

    def wait_for(self, count: int) -> list[bytes]:
        wait_for(lambda: len(self.take()) >= count)
        return self.data

    @property
    def words(self) -> list[str]:
        return [cdr.decode(STRING, data).payload.data for data in self.data]


@pytest.fixture
def string() -> Any:
    from std_msgs.msg import String

    return String


@pytest.fixture
def bag(tmp_path: Path) -> Iterator[BagReader]:
    with BagWriter(tmp_path / "bag") as writer:
        writer.declare(Topic("/latched", STRING, (LATCHED,)))
        for index in range(COUNT):
            for topic in ("/a", "/latched"):
                writer.write(topic, STRING, START_NS + index * PERIOD_NS, word(f"{topic} {index}"))
    with BagReader(tmp_path / "bag") as reader:
        yield reader


@pytest.fixture
def player(node: Any) -> Callable[..., Any]:
    from lowlat_nodes.nodes.bag.player import BagPlayer
    from lowlat_nodes.nodes.ros_outlet import RosOutlet

    def make(bag: BagReader, clock_hz: float = 0.0, **options: Any) -> Any:
        return BagPlayer(bag, [RosOutlet(node, clock_hz=clock_hz)], **options)

    return make


def word(text: str) -> bytes:
    return cdr.encode(STRING, 0, "", Text(text))


@pytest.mark.parametrize("rate", [1.0, 20.0, float("inf")])
def test_all_messages_come_in_order_at_every_rate(
    bag: BagReader, player: Callable[..., Any], outside: Any, stop: Any, string: Any, rate: float
) -> None:
    listener = Listener(outside, "/a", string)
    playing = player(bag, rate=rate, topics=["/a"])
    assert playing.wait_for_subscriptions(PATIENCE_S, stop) == []
    listener.wait_for_publisher()
    report = playing.play(stop)
    listener.wait_for(COUNT)
    assert listener.words == [f"/a {index}" for index in range(COUNT)]
    assert (report.tally.published, report.tally.skipped) == (COUNT, COUNT)
    assert report.tally.topics["/latched"].reason == "not chosen"
    assert report.late.count == (0 if rate == float("inf") else COUNT)
    if rate == 1.0:
        assert report.seconds >= (COUNT - 1) * PERIOD_NS / 1e9


def test_no_message_is_published_before_its_time(
    bag: BagReader, player: Callable[..., Any], stop: Any
) -> None:
    report = player(bag).play(stop)
    assert report.late.negative == 0
    assert report.late.count == 2 * COUNT


def test_who_comes_late_gets_what_was_latched(
    bag: BagReader, player: Callable[..., Any], outside: Any, stop: Any, string: Any
) -> None:
    from rclpy.qos import DurabilityPolicy

    playing = player(bag, rate=float("inf"))
    playing.play(stop)
    late = Listener(outside, "/latched", string, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    late.wait_for(LATCHED.depth)
    assert late.words == [f"/latched {index}" for index in range(COUNT - LATCHED.depth, COUNT)]


def test_a_bag_is_played_several_times_under_another_name(
    bag: BagReader, player: Callable[..., Any], outside: Any, stop: Any, string: Any
) -> None:
    listener = Listener(outside, "/robot/a", string)
    playing = player(bag, rate=20.0, topics=["a"], remap={"a": "robot/a"})
    assert playing.wait_for_subscriptions(PATIENCE_S, stop) == []
    listener.wait_for_publisher()
    report = playing.play(stop, loops=3)
    listener.wait_for(3 * COUNT)
    assert listener.words == [f"/a {index}" for index in range(COUNT)] * 3
    assert report.tally.published == 3 * COUNT


def test_the_clock_tells_the_time_of_the_bag(
    bag: BagReader, player: Callable[..., Any], outside: Any, stop: Any
) -> None:
    from rosgraph_msgs.msg import Clock

    clock = Listener(outside, "/clock", Clock)
    playing = player(bag, clock_hz=200.0)
    wait_for(playing._outlets[0]._clock._publisher.get_subscription_count)
    clock.wait_for_publisher()
    playing.play(stop, loops=2)
    expected = [START_NS + index * PERIOD_NS for index in range(COUNT)]
    clock.wait_for(2 * COUNT)
    stamps = [
        seconds * 10**9 + rest for seconds, rest in (struct.unpack("<iI", data[4:12]) for data in clock.data)
    ]
    assert stamps == expected * 2


def test_a_recorded_clock_makes_room(tmp_path: Path, player: Callable[..., Any]) -> None:
    with BagWriter(tmp_path / "clock.mcap") as writer:
        writer.write("/clock", "rosgraph_msgs/msg/Clock", START_NS, b"\x00\x01\x00\x00" + bytes(8))
    with BagReader(tmp_path / "clock.mcap") as reader:
        assert player(reader, clock_hz=10.0).skipped == {"/clock": "replaced by the time of the bag"}
        assert player(reader).skipped == {}


@pytest.mark.parametrize(
    ("type_name", "encoding", "reason"),
    [
        ("nav2_msgs/msg/Costmap", "cdr", "type nav2_msgs/msg/Costmap is not installed here"),
        ("std_msgs/msg/Strin", "cdr", "type std_msgs/msg/Strin is not installed here"),
        ("std_srvs/srv/Trigger_Event", "cdr", "type 'std_srvs/srv/Trigger_Event' is no message type"),
        ("os/../msg/String", "cdr", "type 'os/../msg/String' is no message type"),
        (STRING, "protobuf", "serialised as 'protobuf'; expected 'cdr'"),
    ],
)
def test_what_cannot_be_published_is_skipped_with_the_reason(
    tmp_path: Path, player: Callable[..., Any], stop: Any, type_name: str, encoding: str, reason: str
) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.declare(Topic("/odd", type_name, (), "", encoding))
        writer.write("/odd", type_name, START_NS, word("x"))
        writer.write("/even", STRING, START_NS, word("x"))
    with BagReader(tmp_path / "bag.mcap") as reader:
        report = player(reader).play(stop)
    assert report.tally.as_json()["topics"]["/odd"]["reason"] == reason
    assert (report.tally.published, report.tally.skipped) == (1, 1)


def test_a_name_that_ros_refuses_is_skipped(tmp_path: Path, player: Callable[..., Any]) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.write("/9 lives", STRING, START_NS, word("x"))
    with BagReader(tmp_path / "bag.mcap") as reader:
        assert "cannot be published" in player(reader).skipped["/9 lives"]


def test_bytes_that_are_no_message_are_skipped(tmp_path: Path, player: Callable[..., Any], stop: Any) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.write("/a", STRING, START_NS, b"\x07\x07garbage")
        writer.write("/a", STRING, START_NS + 1, b"")
        writer.write("/a", STRING, START_NS + 2, word("x"))
    with BagReader(tmp_path / "bag.mcap") as reader:
        report = player(reader).play(stop)
    assert (report.tally.published, report.tally.skipped) == (1, 2)
    assert report.tally.topics["/a"].reason == "expected plain CDR (0000 or 0001), got 07076761"


def test_a_stop_ends_a_long_gap(
    tmp_path: Path, player: Callable[..., Any], outside: Any, stop: Any, string: Any
) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.write("/a", STRING, START_NS, word("now"))
        writer.write("/a", STRING, START_NS + 10**15, word("in eleven days"))
    with BagReader(tmp_path / "bag.mcap") as reader:
        listener = Listener(outside, "/a", string)
        playing = player(reader)
        assert playing.wait_for_subscriptions(PATIENCE_S, stop) == []
        listener.wait_for_publisher()

        def stop_in_the_gap() -> None:
            listener.wait_for(1)
            stop.set()

        stopper = threading.Thread(target=stop_in_the_gap)
        stopper.start()
        report = playing.play(stop)
        stopper.join()
    assert report.tally.published == 1
    assert listener.words == ["now"]


def test_an_error_of_the_reader_reaches_the_caller(
    player: Callable[..., Any], bag: BagReader, stop: Any
) -> None:
    class Broken(BagReader):
        def messages(self, _topics: object = None) -> Iterator[Recorded]:
            yield from itertools.islice(super().messages(), 3)
            raise OSError("the disk is gone")

    with Broken(bag.path) as broken, pytest.raises(OSError, match="the disk is gone"):
        player(broken, rate=float("inf")).play(stop)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": 0.0}, "expected a rate above 0"),
        ({"rate": float("nan")}, "expected a rate above 0"),
        ({"topics": ["/latchd"]}, r"there is no topic '/latchd'; did you mean '/latched'\?"),
        ({"remap": {"/nothing_like_it": "/b"}}, "there is no topic '/nothing_like_it'; known: /latched, /a"),
    ],
)
def test_wrong_options_are_refused(
    bag: BagReader, player: Callable[..., Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        player(bag, **options)
