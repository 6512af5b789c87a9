# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A sink of work and its workers: all is done at least once, and nothing waits without a bound."""

from __future__ import annotations

import contextlib
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from relay import relaying

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.delivery import DEAD_LETTERS
from lowlat_nodes.stream.endpoint import DurableSink, UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq import lifeline, work, work_source
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, new_pair
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.work_sink import WorkSink
from lowlat_nodes.transport.zmq.work_source import WorkSource

LOOPBACK = "tcp://127.0.0.1:0"
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a loaded machine, whose threads stand still for long, from looking like a sink that is gone."""
    monkeypatch.setattr(lifeline, "keep_alive", lambda socket: None)


class Letters:
    """A sink that keeps dead letters."""

    def __init__(self) -> None:
        self.kept: list[Message] = []

    def write(self, message: Message) -> None:
        self.kept.append(message)

    def close(self) -> None:
        pass


@contextlib.contextmanager
def handing(endpoint: str = LOOPBACK, **options: Any) -> Iterator[WorkSink]:
    with contextlib.closing(WorkSink(endpoint, "jobs", **options)) as sink:
        yield sink


@contextlib.contextmanager
def working(endpoint: str, **options: Any) -> Iterator[WorkSource]:
    options = {"silent_after_s": PATIENCE_S} | options
    with contextlib.closing(WorkSource(endpoint, ManualClock(7), **options)) as source:
        yield source


def job(number: int) -> Message:
    return Message("result", np.array([number], np.int64), Trace(capture_ns=3, received_ns=4), 100, "arm")


def numbers(messages: list[Message]) -> list[int]:
    return [int(message.payload[0]) for message in messages]


def take(source: WorkSource, count: int) -> list[int]:
    """Return the numbers of what comes until there are so many."""
    deadline = time.monotonic() + PATIENCE_S
    found: list[int] = []
    while len(found) < count:
        assert time.monotonic() < deadline
        found += numbers(source.poll(count - len(found), 0.1))
    return found


def eventually(holds: Callable[[], bool], *, meanwhile: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        meanwhile()
        time.sleep(0.005)


@pytest.fixture(params=["tcp", "ipc"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return LOOPBACK if request.param == "tcp" else f"ipc://{tmp_path}/jobs"


def test_work_comes_as_it_was_written_and_is_safe_once_committed(endpoint: str) -> None:
    with handing(endpoint) as sink, working(sink.endpoint, topic="in") as source:
        assert isinstance(sink, DurableSink)
        sink.flush(0.0)
        assert source.lag is None
        for number in range(3):
            sink.write(job(number))
        deadline = time.monotonic() + PATIENCE_S
        messages: list[Message] = []
        while len(messages) < 3:
            assert time.monotonic() < deadline
            messages += source.poll(3, PATIENCE_S)
        assert numbers(messages) == [0, 1, 2]
        assert [message.sequence for message in messages] == [0, 1, 2]
        first = messages[0]
        assert (first.topic, first.frame_id) == ("in", "arm")
        assert first.trace == Trace(capture_ns=3, received_ns=7)
        with pytest.raises(UndeliveredError, match="3 messages are not finished"):
            sink.flush(0.0)
        source.commit()
        sink.flush(PATIENCE_S)
        assert sink.counts["finished"] == 3
        assert sink.unfinished == 0
        eventually(lambda: source.lag == 0, meanwhile=lambda: source.poll(0, 0.0))
        assert not source.exhausted


def test_who_is_fast_enough_for_all_of_it_does_not_get_all_of_it(endpoint: str) -> None:
    with handing(endpoint) as sink, working(sink.endpoint) as one, working(sink.endpoint) as other:
        for worker in (one, other):
            worker.poll(8, 0.0)  # both ask, before there is anything
        eventually(lambda: sink.workers == 2, meanwhile=lambda: [one.poll(8, 0.0), other.poll(8, 0.0)])
        shares: dict[str, int] = {"one": 0, "other": 0}
        for number in range(40):
            sink.write(job(number))
            before = sum(shares.values())

            def taken(before: int = before) -> bool:
                for name, worker in (("one", one), ("other", other)):
                    shares[name] += len(worker.poll(8, 0.01))
                    worker.commit()
                return sum(shares.values()) > before

            eventually(taken)
        assert min(shares.values()) >= 10


def test_no_more_comes_than_is_asked_for(endpoint: str) -> None:
    with handing(endpoint) as sink, working(sink.endpoint) as slow, working(sink.endpoint) as other:
        for number in range(20):
            sink.write(job(number))
        done = take(slow, 2)
        assert slow.poll(0, 0.3) == []  # as many as it last asked for may wait for it, and no more
        done += take(other, 16)
        while len(done) < 20:
            done += numbers(slow.poll(1, 0.05)) + numbers(other.poll(1, 0.05))
        assert sorted(done) == list(range(20))


def test_with_nothing_to_come_beforehand_all_waits_at_the_sink() -> None:
    with handing() as sink, working(sink.endpoint, prefetch=0) as slow, working(sink.endpoint) as other:
        for number in range(4):
            sink.write(job(number))
        assert take(slow, 1) == [0]
        assert take(other, 3) == [1, 2, 3]


def test_a_writer_waits_for_room_and_then_keeps_its_message() -> None:
    with handing(window=2, patience_s=0.05) as sink, working(sink.endpoint) as source:
        sink.write(job(0))
        sink.write(job(1))
        with pytest.raises(UndeliveredError, match="no room"):
            sink.write(job(2))
        assert take(source, 2) == [0, 1]
        source.commit()
        eventually(lambda: sink.unfinished == 0)
        sink.write(job(3))
        assert take(source, 1) == [3]


def test_what_has_no_form_on_the_wire_never_will_be_taken() -> None:
    with handing() as sink:
        with pytest.raises(WireError):
            sink.write(Message("result", object()))
        assert sink.unfinished == 0


def test_arrays_may_be_changed_once_they_are_written() -> None:
    with handing() as sink, working(sink.endpoint) as source:
        array = np.full(100_000, 5, np.int64)
        sink.write(Message("result", array))
        array[:] = 6
        (message,) = source.poll(1, PATIENCE_S)
        assert (message.payload == 5).all()


def test_the_work_of_a_worker_that_stops_goes_to_another() -> None:
    with handing() as sink, working(sink.endpoint) as other:
        with working(sink.endpoint) as source:
            for number in range(4):
                sink.write(job(number))
            assert take(source, 2) == [0, 1]
            source.commit()
            assert take(source, 1) == [2]
        assert sorted(take(other, 2)) == [2, 3]
        other.commit()
        sink.flush(PATIENCE_S)
        assert sink.counts["bye"] == 1
        assert not sink.counts["redelivered"]  # nobody failed


def test_the_work_of_a_silent_worker_goes_to_another_and_it_may_come_back() -> None:
    with handing() as sink, working(sink.endpoint, silent_after_s=0.3) as sleepy:
        sink.write(job(0))
        assert take(sleepy, 1) == [0]
        with working(sink.endpoint) as other:
            assert take(other, 1) == [0]
            assert sink.counts["silent"]
            other.commit()
            sink.flush(PATIENCE_S)
            sleepy.commit()
            sink.write(job(1))
            eventually(lambda: sink.workers == 2, meanwhile=lambda: (sleepy.poll(0, 0.0), other.poll(0, 0.0)))
        assert take(sleepy, 1) == [1]
        sleepy.commit()
        sink.flush(PATIENCE_S)
        assert sink.counts["finished"] == 2


def test_what_a_worker_did_while_it_was_taken_for_dead_is_done() -> None:
    with handing() as sink, working(sink.endpoint, silent_after_s=0.2) as sleepy:
        for number in range(3):
            sink.write(job(number))
        assert take(sleepy, 3) == [0, 1, 2]
        eventually(lambda: sink.counts["silent"] > 0)
        sleepy.commit()
        sink.flush(PATIENCE_S)
        eventually(lambda: sink.workers == 1, meanwhile=lambda: sleepy.poll(0, 0.0))
        assert not sink.counts["redelivered"]


def test_a_worker_that_comes_back_goes_on_with_what_it_has() -> None:
    with handing() as sink, working(sink.endpoint, silent_after_s=0.2) as sleepy:
        for number in range(3):
            sink.write(job(number))
        assert take(sleepy, 1) == [0]
        eventually(lambda: sink.counts["silent"] > 0)
        eventually(lambda: sink.workers == 1, meanwhile=lambda: sleepy.poll(0, 0.0))
        assert take(sleepy, 2) == [1, 2]
        sleepy.commit()
        sink.flush(PATIENCE_S)
        assert sink.counts["finished"] == 3


def test_keeping_its_place_keeps_a_worker_alive() -> None:
    with handing() as sink, working(sink.endpoint, silent_after_s=0.5) as source:
        sink.write(job(0))
        assert take(source, 1) == [0]
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert source.poll(0, 0.02) == []
        if sink.counts["silent"]:
            pytest.skip("this machine stood still for half a second")
        assert sink.workers == 1


def test_a_sink_that_starts_anew_finds_its_workers_again(endpoint: str) -> None:
    with handing(endpoint) as first:
        address = first.endpoint
        first.write(job(0))
        source = WorkSource(address, ManualClock(), silent_after_s=PATIENCE_S)
        assert take(source, 1) == [0]
    with contextlib.closing(source), handing(address) as second:
        source.commit()  # for the first, which nobody will hear
        second.write(job(1))
        assert take(source, 1) == [1]
        with pytest.raises(UndeliveredError):
            second.flush(0.0)
        source.commit()
        second.flush(PATIENCE_S)
        assert second.counts["finished"] == 1


def test_what_makes_workers_fail_becomes_a_dead_letter_and_the_rest_is_done() -> None:
    letters = Letters()
    with handing(deliveries=2, dead_letters=letters) as sink:
        for number in range(3):
            sink.write(job(number))
        done: list[int] = []
        for name in ("first", "second"):  # each dies by number 1
            with raw(sink.endpoint) as (socket, hello):
                hello(limit=100, worker=name)
                got: list[int] = []
                while 1 not in got:
                    got += [number for number in [arrival(socket)] if number is not None]
                for number in set(got) - {1}:
                    socket.send(work.encode_note(work.DONE, ids=[[epoch(socket), number, number]]))
                    done.append(number)
                eventually(lambda: sink.unfinished == 3 - len(done))
            eventually(lambda: sink.workers == 0)
        with working(sink.endpoint) as source:
            take(source, 3 - 1 - len(done))
            source.commit()
            sink.flush(PATIENCE_S)
        (letter,) = letters.kept
        assert letter.topic == DEAD_LETTERS
        assert isinstance(letter.payload, DeadLetter)
        assert "2 workers" in letter.payload.reason
        assert sink.counts["dead"] == 1


@contextlib.contextmanager
def raw(address: str) -> Iterator[tuple[zmq.Socket[bytes], Callable[..., None]]]:
    """A worker of bare sockets and notes."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, round(PATIENCE_S * 1000))
        socket.connect(address)

        def hello(limit: int = 0, silent_ns: int = 60_000_000_000, worker: str = "raw") -> None:
            socket.send(
                work.encode_note(
                    work.HELLO, worker=worker, session=1, limit=limit, silent_ns=silent_ns, held=[]
                )
            )

        yield socket, hello


EPOCHS: dict[zmq.Socket[bytes], int] = {}


def epoch(socket: zmq.Socket[bytes]) -> int:
    return EPOCHS[socket]


def arrival(socket: zmq.Socket[bytes]) -> int | None:
    """Return the number of the next message, None if a ping came."""
    frames = socket.recv_multipart(copy=False)
    kind, fields = work.decode_note(frames[0])
    if kind != work.WORK:
        return None
    EPOCHS[socket] = fields["epoch"]
    return int(fields["seq"])


def test_a_message_that_workers_cannot_read_becomes_a_dead_letter() -> None:
    letters = Letters()
    with handing(dead_letters=letters) as sink, raw(sink.endpoint) as (socket, hello):
        sink.write(job(0))
        hello(limit=1)
        while arrival(socket) is None:
            pass
        socket.send(work.encode_note(work.REFUSE, epoch=epoch(socket), seq=0, reason="expected another"))
        sink.flush(PATIENCE_S)
        assert [letter.payload.reason for letter in letters.kept] == ["expected another"]


def test_dead_letters_that_are_not_taken_are_not_done_with() -> None:
    class Full(Letters):
        full = True

        def write(self, message: Message) -> None:
            if self.full:
                raise OSError("no space left")
            super().write(message)

    letters = Full()
    with handing(dead_letters=letters) as sink, raw(sink.endpoint) as (socket, hello):
        sink.write(job(0))
        hello(limit=1)
        while arrival(socket) is None:
            pass
        socket.send(work.encode_note(work.REFUSE, epoch=epoch(socket), seq=0, reason="bad"))
        with pytest.raises(UndeliveredError, match="no space left"):
            sink.flush(PATIENCE_S)
        letters.full = False
        sink.flush(PATIENCE_S)
        assert len(letters.kept) == 1


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xc1",
        bytes(work.MAX_NOTE),
        work.encode_note("nonsense"),
        work.encode_note(work.HELLO, worker="", session=1, limit=1, silent_ns=10**9, held=[]),
        work.encode_note(work.HELLO, worker="w", session=1, limit=1, silent_ns=1, held=[]),
        work.encode_note(work.HELLO, worker="w", session=1, limit=1, silent_ns=10**9, held=[[1, 2]]),
        work.encode_note(work.WANT, session=-1, limit=1),
        work.encode_note(work.WANT, session=1),
        work.encode_note(work.DONE, ids=[[1, 2, 1]]),
        work.encode_note(work.DONE, ids=None),
        work.encode_note(work.REFUSE, epoch=1, seq=1, reason=5),
        work.encode_note(work.PING, epoch=1, waiting=1),
    ],
)
def test_notes_that_are_none_are_counted_and_others_still_heard(note: bytes) -> None:
    with handing() as sink, raw(sink.endpoint) as (socket, hello):
        hello()
        socket.send(note)
        eventually(lambda: sink.counts["malformed"] == 1)
        assert sink.last_failure
        sink.write(job(0))
        hello(limit=1)
        while arrival(socket) is None:
            pass


def test_what_is_said_to_be_done_and_never_was_does_no_harm() -> None:
    with handing() as sink, raw(sink.endpoint) as (socket, hello):
        sink.write(job(0))
        hello(limit=1)
        while arrival(socket) is None:
            pass
        for ids in ([[epoch(socket) - 1, 0, 0]], [[epoch(socket), 1, 2**64 - 1]], [[0, 0, 2**64 - 1]]):
            socket.send(work.encode_note(work.DONE, ids=ids))
        with pytest.raises(UndeliveredError):
            sink.flush(0.2)
        socket.send(work.encode_note(work.DONE, ids=[[epoch(socket), 0, 2**64 - 1]]))
        sink.flush(PATIENCE_S)


def test_what_takes_long_on_a_slow_link_comes_whole() -> None:
    with (
        handing() as sink,
        relaying(sink.endpoint, 1e6) as relay,
        working(relay.address) as source,
    ):
        sink.write(Message("result", np.zeros(2_000_000, np.uint8)))  # 2 s, in which no ping comes
        messages: list[Message] = []
        eventually(lambda: len(messages) == 1, meanwhile=lambda: messages.extend(source.poll(2, 0.05)))
        source.commit()
        sink.flush(PATIENCE_S)
        assert source.link.broken == 0
        assert not source.drops.total


def test_a_sink_that_sends_without_end_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_source, "_MOST_WAITING", 20)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as sink:
        sink.setsockopt(zmq.LINGER, 0)
        sink.bind(LOOPBACK)
        with working(sink.getsockopt_string(zmq.LAST_ENDPOINT)) as source:
            eventually(lambda: bool(sink.poll(0)), meanwhile=lambda: source.poll(1, 0.01))
            route = sink.recv_multipart()[0]
            for number in range(100):
                note = work.encode_note(work.WORK, session=1, epoch=1, seq=number, failures=0)
                sink.send_multipart([route, note, *encode(job(number), "work", number, epoch=1)])
            eventually(lambda: source.drops["unasked"] == 80, meanwhile=lambda: source.poll(0, 0.01))
            assert len(source.poll(100, 0.01)) == 20


def test_with_keys_only_those_who_are_known_get_work() -> None:
    server, known, stranger = new_pair(), new_pair(), new_pair()
    with handing(keys=ServerKeys(server, frozenset({known.public}))) as sink:
        sink.write(job(0))
        with working(sink.endpoint, keys=ClientKeys(stranger, server.public)) as source:
            eventually(lambda: sink.counts["keys_refused"] > 0, meanwhile=lambda: source.poll(1, 0.01))
            eventually(lambda: "key" in source.last_failure, meanwhile=lambda: source.poll(1, 0.01))
            assert not source.link.stands
        with working(sink.endpoint, keys=ClientKeys(known, server.public)) as source:
            assert take(source, 1) == [0]
            assert source.link.stands


def test_nobody_listens_to_the_world_without_keys() -> None:
    with pytest.raises(ConfigurationError, match="keys"):
        WorkSink("tcp://*:0", "jobs")


def test_a_socket_file_is_for_its_owner_only(tmp_path: Path) -> None:
    with handing(f"ipc://{tmp_path}/jobs"):
        assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o600


def test_an_address_that_is_taken_is_refused() -> None:
    with handing() as sink, pytest.raises(ConfigurationError, match="listen"):
        WorkSink(sink.endpoint, "jobs")


@pytest.mark.parametrize("options", [{"silent_after_s": 0.0}, {"prefetch": -1}, {"prefetch": 10**6}])
def test_a_worker_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        WorkSource("tcp://127.0.0.1:1", ManualClock(), **options)


def test_many_workers_do_all_of_it_once() -> None:
    count = 3000
    done: list[int] = []
    ended = threading.Event()

    def run(address: str) -> None:
        with working(address) as source:
            while not ended.is_set():
                done.extend(numbers(source.poll(32, 0.05)))
                source.commit()

    with handing(window=500, patience_s=PATIENCE_S) as sink:
        threads = [threading.Thread(target=run, args=(sink.endpoint,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(count):
            sink.write(job(number))
        sink.flush(PATIENCE_S)
        ended.set()
        for thread in threads:
            thread.join()
    assert sorted(done) == list(range(count))


def test_nothing_is_left_open() -> None:
    def once() -> int:
        with handing() as sink, working(sink.endpoint) as source:
            sink.write(job(0))
            take(source, 1)
        return len(list(Path("/proc/self/fd").iterdir()))

    once()
    before = once()
    assert max(once() for _ in range(5)) <= before
