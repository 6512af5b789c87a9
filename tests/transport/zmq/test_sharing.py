# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who gets which form of a message: shared memory, frames, the last one of a latched topic, heartbeats."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from listeners import PATIENCE_S, Heard, until

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image, Text
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq.frames import decode, encode
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

SMALL = np.arange(10)
SHAPE = (480, 640, 3)


def picture(number: int) -> Image:
    return Image(np.full(SHAPE, number % 251, np.uint8), "rgb8")


@contextlib.contextmanager
def publishing(endpoint: str, **options: Any) -> Iterator[Publisher]:
    publisher = Publisher(endpoint, {"image": "robot/camera", "map": "robot/map"}, **options)
    try:
        yield publisher
    finally:
        publisher.close()


@contextlib.contextmanager
def hearing(
    endpoint: str, deliver: Callable[[Message], None], topic: str = "robot/camera", **options: Any
) -> Iterator[Subscriber]:
    subscriber = Subscriber(endpoint, {"seen": topic}, clock=SystemClock(), **options)
    subscriber.start(deliver)
    try:
        yield subscriber
    finally:
        subscriber.stop()


def segments() -> set[str]:
    return {
        path.name
        for path in Path("/dev/shm").iterdir()
        if path.name.startswith("lowlat_") and f"_{os.getpid()}_" in path.name
    }


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/stream"


def test_an_image_is_read_where_it_was_written(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:
        number = iter(range(1000))
        until(
            lambda: subscriber.in_place,
            lambda: publisher.write(Message("image", picture(next(number)), frame_id="optical")),
        )
        heard.wait(1)
        newest = heard.messages[-1]
        assert newest.payload.encoding == "rgb8"
        assert newest.payload.data.shape == SHAPE
        assert newest.frame_id == "optical"
        assert not newest.payload.data.flags.writeable
        assert np.all(newest.payload.data == newest.sequence)
        numbers = [message.sequence for message in heard.messages]
        assert np.all(np.diff(numbers) > 0)  # nothing twice
        # On a machine that stands still for a while the slots come around, and nothing else may be lost.
        assert subscriber.drops.snapshot().keys() <= {"overwritten"}
        assert numbers[-1] - numbers[0] + 1 - len(numbers) <= subscriber.drops.total
    assert np.all(newest.payload.data == newest.sequence)  # also when both are gone


def test_iceoryx2_does_the_same(endpoint: str) -> None:
    pytest.importorskip("iceoryx2")
    first, late = Heard(), Heard()
    with (
        publishing(endpoint, memory="iceoryx2", latched={"robot/map"}) as publisher,
        hearing(endpoint, first) as subscriber,
    ):
        until(lambda: subscriber.in_place > 5, lambda: publisher.write(Message("image", picture(7))))
        assert all(np.all(message.payload.data == 7) for message in first.messages)
        publisher.write(Message("map", picture(9)))
        with hearing(endpoint, late, "robot/map"):
            assert late.wait(1)
        assert np.all(late.messages[0].payload.data == 9)
        first.messages.clear()
        late.messages.clear()
    assert not segments()


def test_memory_of_no_known_kind_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one of auto, slots, iceoryx2, got 'icyoryx'"):
        Publisher(endpoint, {}, memory="icyoryx")


def test_small_messages_stay_in_frames(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:
        until(lambda: len(heard.messages) > 20, lambda: publisher.write(Message("image", SMALL)))
        assert not subscriber.in_place
        assert not segments()


def test_who_wants_frames_gets_frames(endpoint: str) -> None:
    with (
        publishing(endpoint) as publisher,
        zmq.Context() as context,
        contextlib.closing(context.socket(zmq.SUB)) as plain,
    ):
        plain.subscribe("robot/camera")
        plain.connect(endpoint)
        until(lambda: plain.poll(0), lambda: publisher.write(Message("image", picture(7))))
        found = decode(plain.recv_multipart(copy=False)).message.payload
        assert np.array_equal(found.data, picture(7).data)
        heard = Heard()
        with hearing(endpoint, heard, shared_memory=False) as subscriber:
            until(lambda: heard.messages, lambda: publisher.write(Message("image", picture(7))))
            assert not subscriber.in_place
        assert not segments()


def test_all_forms_at_once(endpoint: str) -> None:
    shared, framed = Heard(), Heard()
    with (
        publishing(endpoint) as publisher,
        hearing(endpoint, shared) as one,
        hearing(endpoint, framed, shared_memory=False) as other,
    ):
        until(
            lambda: one.in_place > 5 and len(framed.messages) > 5,
            lambda: publisher.write(Message("image", picture(3))),
        )
        assert one.drops.snapshot().keys() <= {"overwritten"}
        assert other.drops.snapshot() == {}


def test_publishers_without_shared_memory_are_heard_too() -> None:
    heard = Heard()
    frames = encode(Message("", picture(5)), "robot/camera", 1)
    with zmq.Context() as context, contextlib.closing(context.socket(zmq.PUB)) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with hearing(f"tcp://127.0.0.1:{port}", heard):
            until(lambda: heard.messages, lambda: socket.send_multipart(frames))


def test_a_publisher_that_comes_back_shares_again_and_one_that_cannot_is_heard(tmp_path: Path) -> None:
    heard = Heard()
    endpoint = f"ipc://{tmp_path}/stream"
    frames = encode(Message("", picture(5)), "robot/camera", 1)
    with hearing(endpoint, heard) as subscriber:
        for _ in range(3):
            shared = subscriber.in_place
            with publishing(endpoint) as publisher:
                until(
                    lambda shared=shared: subscriber.in_place > shared,
                    lambda: publisher.write(Message("image", picture(1))),
                )
            heard.messages.clear()
            with zmq.Context() as context, contextlib.closing(context.socket(zmq.PUB)) as socket:
                socket.bind(endpoint)
                until(lambda: heard.messages, lambda: socket.send_multipart(frames))
        assert subscriber.drops.snapshot().keys() <= {"overwritten"}


def test_a_connection_that_is_made_anew_goes_on(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:
        write = lambda: publisher.write(Message("image", picture(1)))  # noqa: E731
        until(lambda: subscriber.in_place, write)
        for _ in range(5):
            broken = subscriber.link.broken
            subscriber.reconnect()
            until(lambda broken=broken: subscriber.link.broken > broken and subscriber.link.stands)
            shared = subscriber.in_place
            until(lambda shared=shared: subscriber.in_place > shared, write)


def test_memory_that_may_not_be_read_costs_frames_and_not_the_stream(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    opened = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).startswith("/dev/shm/lowlat_") and threading.current_thread().name == "subscriber":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:
        until(
            lambda: "ermission" in subscriber.last_failure,
            lambda: publisher.write(Message("image", picture(2))),
        )
        heard.messages.clear()
        until(lambda: len(heard.messages) > 5, lambda: publisher.write(Message("image", picture(2))))
        assert not subscriber.in_place


def test_an_image_that_was_written_into_a_loan_is_not_copied(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:
        until(lambda: subscriber.in_place, lambda: publisher.write(Message("image", picture(0))))
        for number in range(20):
            with publisher.loan("image", SHAPE, np.uint8) as loan:
                loan.array[:] = number
                before = len(heard.messages)
                publisher.write(Message("image", Image(loan.array, "rgb8")))
                with pytest.raises(ValueError, match="read-only"):
                    loan.array[0, 0, 0] = 1
            assert heard.wait(before + 1)
            found = heard.messages[-1].payload.data
            assert np.all(found == number)
            heard.messages.clear()
            del found
        assert subscriber.in_place >= 21


def test_nobody_is_lent_memory_that_nobody_reads(endpoint: str) -> None:
    with publishing(endpoint) as publisher:
        assert publisher.loan("image", SHAPE, np.uint8) is None
        assert not publisher.wanted("image")


def test_readers_that_hold_everything_get_frames(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint, slots=2) as publisher, hearing(endpoint, heard) as subscriber:
        until(
            lambda: publisher.counts["inline"],
            lambda: publisher.write(Message("image", picture(len(heard.messages)))),
        )
        until(lambda: len(heard.messages) > 5, lambda: publisher.write(Message("image", picture(1))))
        assert subscriber.in_place >= 2
        heard.messages.clear()
        gc.collect()
        shared = subscriber.in_place
        until(
            lambda: subscriber.in_place > shared,
            lambda: [publisher.write(Message("image", picture(1))), heard.messages.clear()],
        )


def test_who_is_slower_than_the_slots_loses_whole_messages_and_counts_them(endpoint: str) -> None:
    seen: list[tuple[int, bool]] = []
    go_on = threading.Event()
    go_on.set()

    def deliver(message: Message) -> None:
        seen.append((message.sequence, bool(np.all(message.payload.data == message.sequence % 251))))
        assert go_on.wait(PATIENCE_S)

    number = iter(range(100_000))
    with publishing(endpoint, slots=4) as publisher, hearing(endpoint, deliver) as subscriber:
        write = lambda: publisher.write(Message("image", picture(next(number))))  # noqa: E731
        until(lambda: subscriber.in_place, write)
        go_on.clear()
        for _ in range(12):
            write()
        go_on.set()
        until(lambda: subscriber.drops["overwritten"], write)
    numbers = [sequence for sequence, _ in seen]
    assert all(whole for _, whole in seen)
    assert subscriber.drops.total == numbers[-1] - numbers[0] + 1 - len(numbers)


@pytest.mark.parametrize("payload", [Text("a map"), picture(9)], ids=["small", "large"])
@pytest.mark.parametrize("shared_memory", [True, False])
def test_a_latched_topic_greets_who_comes_late(endpoint: str, payload: Any, shared_memory: bool) -> None:
    first, late = Heard(), Heard()
    stamps = Trace(capture_ns=5)
    with publishing(endpoint, latched={"robot/map"}) as publisher:
        publisher.write(Message("map", Text("an older one")))
        publisher.write(Message("map", payload, stamps))
        with hearing(endpoint, first, "robot/map", shared_memory=shared_memory) as subscriber:
            assert first.wait(1)
            assert (first.messages[0].sequence, first.messages[0].trace.capture_ns) == (1, 5)
            until(lambda: subscriber.in_place or not shared_memory or isinstance(payload, Text))
            for _ in range(20):  # that others use the memory changes nothing
                publisher.write(Message("image", picture(1)))
            with hearing(endpoint, late, "robot/map", shared_memory=shared_memory):
                assert late.wait(1)
                publisher.write(Message("map", Text("the next")))
                assert late.wait(2)
                assert first.wait(2)
        for heard in (first, late):
            texts = [message.payload for message in heard.messages]
            assert [message.sequence for message in heard.messages] == [1, 2]
            assert texts[-1] == Text("the next")
            if isinstance(payload, Image):
                assert np.array_equal(texts[0].data, payload.data)


def test_other_topics_are_not_kept(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint, latched={"robot/map"}) as publisher:
        publisher.write(Message("image", SMALL))
        with hearing(endpoint, heard) as subscriber:
            until(lambda: subscriber.link.stands)
            until(lambda: heard.messages, lambda: publisher.write(Message("image", SMALL)))
            assert heard.messages[0].sequence > 0


def test_what_is_of_no_use_any_more_is_not_delivered(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:

        def write(late_ns: int) -> None:
            published_ns = time.time_ns() - late_ns
            publisher.write(
                Message("image", SMALL, Trace(1, published_ns=published_ns)), budget_ns=1_000_000_000_000
            )

        until(lambda: heard.messages, lambda: write(0))
        before = len(heard.messages)
        write(2_000_000_000_000)
        until(lambda: subscriber.drops["expired"])
        assert len(heard.messages) == before


def test_heartbeats_are_heard_beside_the_stream(endpoint: str) -> None:
    heard = Heard()
    beat = Heartbeat("/camera", "running", 12, 3_000_000, 250_000_000)
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:
        until(lambda: subscriber.heard_ns, lambda: publisher.beat(beat))
        [state] = subscriber.peer.states(subscriber.heard_ns)
        assert (state.name, state.state, state.sequence, state.latency_ns) == (
            "/camera",
            "running",
            12,
            3_000_000,
        )
        assert subscriber.heard_ns <= time.monotonic_ns()
        assert subscriber.drops.snapshot() == {}
        assert heard.messages == []


def test_shared_memory_is_gone_with_its_publisher(endpoint: str) -> None:
    heard = Heard()
    with publishing(endpoint) as publisher, hearing(endpoint, heard) as subscriber:
        until(lambda: subscriber.in_place, lambda: publisher.write(Message("image", picture(0))))
        assert segments()
    assert not segments()


@pytest.mark.parametrize("shared_memory", [True, False])
def test_newcomers_get_the_last_message_of_each_origin(endpoint: str, shared_memory: bool) -> None:
    first, late = Heard(), Heard()
    with publishing(endpoint) as publisher:
        publisher.write(Message("map", Text("before it was latched")), origin=b"a")
        publisher.latch("map")
        for number, origin in enumerate([b"a", b"b", b"a", b"c", b"gone"]):
            publisher.write(Message("map", picture(number)), origin=origin)
        publisher.forget("map", b"gone")
        options: dict[str, Any] = {"shared_memory": shared_memory}
        with hearing(endpoint, first, "robot/map", **options) as one:
            assert first.wait(3)
            with hearing(endpoint, late, "robot/map", **options) as other:
                assert late.wait(3)
                publisher.write(Message("map", picture(9)), origin=b"d")
                assert first.wait(4)
                assert late.wait(4)
                for subscriber in (one, other):
                    assert subscriber.drops.total == 0  # what nobody was to get is not lost
    for heard in (first, late):
        assert [int(message.payload.data[0, 0, 0]) for message in heard.messages] == [1, 2, 3, 9]


def test_who_subscribes_may_refuse_by_the_bridges_that_a_message_has_passed(endpoint: str) -> None:
    heard = Heard()
    with (
        publishing(endpoint) as publisher,
        hearing(endpoint, heard, admit=lambda received: "me" not in received.via) as subscriber,
    ):
        until(lambda: heard.messages, lambda: publisher.write(Message("image", SMALL), via=["other"]))
        publisher.write(Message("image", SMALL), via=["other", "me"])
        publisher.write(Message("image", Text("the last"), Trace(7)), via=["other"])
        until(lambda: isinstance(heard.messages[-1].payload, Text))
        numbers = [message.sequence for message in heard.messages]
        assert numbers[-1] - numbers[-2] == 2
        assert subscriber.drops.total == 0
