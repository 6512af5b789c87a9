# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a recording could not take is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.nodes.bag.disk import Disk
from lowlat_nodes.stream.payload import Text
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter, DiskError

pytestmark = pytest.mark.ros

STRING = "std_msgs/msg/String"
PATIENCE_S = 60.0


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


@pytest.fixture
def publisher(outside: Any) -> Any:
    from std_msgs.msg import String

    return outside.create_publisher(String, "/a", 10)


def say(publisher: Any, count: int) -> None:
    for index in range(count):
        publisher.publish(saying(str(index)))


def saying(word: str) -> bytes:
    return cdr.encode(STRING, 0, "", Text(word))


class Gate(BagWriter):
    """A disk that stands still until it is told to go on, or fails."""

    def __init__(self, path: Path, error: str = "") -> None:
        super().__init__(path)
        self.open = threading.Event()
        self.reached = threading.Event()
        self._error = error

    def write(self, *message: Any) -> None:
        self.reached.set()
        assert self.open.wait(PATIENCE_S)
        if self._error:
            raise DiskError(self._error)
        super().write(*message)


@pytest.fixture
def recording(node: Any, stop: Any) -> Iterator[Callable[..., Any]]:
    """Record /a in a thread, and wait for its end."""
    from lowlat_nodes.nodes.bag.recorder import BagRecorder, Selection

    threads = []

    def record(writer: BagWriter, **options: Any) -> Any:
        disk = Disk(writer, **options)
        recorder = BagRecorder(node, disk, Selection(("/a",)), announce=lambda _line: None)
        recorder.error = None

        def run() -> None:
            try:
                with disk:
                    recorder.run(stop)
            except DiskError as error:
                recorder.error = error

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return recorder

    yield record
    stop.set()
    for thread in threads:
        thread.join()


def test_messages_that_the_middleware_lost_are_counted(
    node: Any, outside: Any, publisher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from std_msgs.msg import String

    from lowlat_nodes.nodes.bag import recorder as bag_recorder

    monkeypatch.setattr(bag_recorder, "_DEPTH", 50)
    wait_for(lambda: node.get_publishers_info_by_topic("/a"))
    watch = bag_recorder._Watch(node, "/a", String)
    wait_for(publisher.get_subscription_count)
    wait_for(watch._subscription.get_publisher_count)
    taken: list[Any] = []

    def heard(word: str) -> bool:
        taken.extend(watch.take())
        return bool(taken) and taken[-1].data == saying(word)

    publisher.publish(saying("now"))
    wait_for(lambda: heard("now"))
    before = len(taken)
    assert sum(message.lost for message in taken) == 0
    say(publisher, 200)  # more than the middleware keeps
    wait_for(lambda: heard("199"))
    lost = sum(message.lost for message in taken)
    assert lost > 0
    assert len(taken) - before + lost == 200
    watch.close()


def test_what_finds_no_room_is_dropped_and_counted(
    tmp_path: Path, publisher: Any, recording: Callable[..., Any], stop: Any
) -> None:
    with Gate(tmp_path / "bag") as writer:
        recorder = recording(writer, capacity_bytes=200)
        wait_for(publisher.get_subscription_count)

        def full() -> bool:
            say(publisher, 5)
            return "/a" in recorder.counts and recorder.counts["/a"].dropped > 20

        wait_for(full)
        assert writer.reached.is_set()
        writer.open.set()
        stop.set()
        wait_for(lambda: not recorder._disk._thread.is_alive())
        counts = recorder.counts["/a"]
    with BagReader(tmp_path / "bag") as bag:
        assert len(list(bag.messages())) == counts.messages
    assert counts.messages > 0


def test_a_disk_that_fails_ends_the_recording(
    tmp_path: Path, publisher: Any, recording: Callable[..., Any]
) -> None:
    with Gate(tmp_path / "bag", error="no space left") as writer:
        writer.open.set()
        recorder = recording(writer)
        wait_for(publisher.get_subscription_count)

        def ended() -> bool:
            say(publisher, 1)
            return recorder.error is not None

        wait_for(ended)
    assert "no space left" in str(recorder.error)


def test_a_type_that_is_not_installed_is_told_once(node: Any, tmp_path: Path, stop: Any) -> None:
    from lowlat_nodes.nodes.bag.recorder import BagRecorder, Selection

    lines: list[str] = []
    with BagWriter(tmp_path / "bag") as writer, Disk(writer) as disk:
        recorder = BagRecorder(node, disk, Selection(), announce=lines.append)
        for _ in range(3):
            if "/map" not in recorder.skipped:
                recorder._begin("/map", ["nav2_msgs/msg/Costmap"])
    assert recorder.skipped == {"/map": "type nav2_msgs/msg/Costmap is not installed here"}
    assert lines == ["not recording /map: type nav2_msgs/msg/Costmap is not installed here"]


@pytest.mark.parametrize(
    ("topics", "exclude", "name", "wanted"),
    [
        ((), "", "/a", True),
        ((), "", "/a/_hidden", False),
        ((), "", "/_hidden/a", False),
        ((), "/a.*", "/a/b", False),
        ((), "/a", "/a/b", True),
        (("/a",), "", "/a", True),
        (("/a",), "", "/b", False),
        (("/a/_hidden",), "", "/a/_hidden", True),
        (("/a",), "/a", "/a", False),
    ],
)
def test_the_selection(topics: tuple[str, ...], exclude: str, name: str, wanted: bool) -> None:
    from lowlat_nodes.nodes.bag.recorder import Selection

    assert Selection(topics, exclude).wants(name, topics) == wanted
