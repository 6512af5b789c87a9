# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages that readers hear of before they are complete, and writers that never complete them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from shm_peers import PeerProcess

from lowlat_nodes.transport.shm.errors import Overwritten, SegmentGone, Unfinished
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.reader import Reader
from lowlat_nodes.transport.shm.writer import Writer

PATIENCE_S = 60.0
SIZE = 1 << 20


@pytest.fixture
def writer() -> Iterator[Writer]:
    with contextlib.closing(Writer(slots=3)) as made:
        yield made


def test_a_reader_waits_for_the_rest(writer: Writer) -> None:
    reader, found = Reader(), []

    def announce(place: Place) -> None:
        def read() -> None:
            (view,) = reader.lease(place, [SIZE])
            found.append(np.frombuffer(view, np.uint8).copy())

        thread = threading.Thread(target=read)
        threads.append(thread)
        thread.start()
        time.sleep(0.005)  # so that it waits, as a rule

    for number in range(20):
        threads: list[threading.Thread] = []
        place = writer.put([np.full(SIZE, number, np.uint8)], announce)
        assert place is not None
        for thread in threads:
            thread.join(PATIENCE_S)
        assert np.all(found[-1] == number)
    assert len(found) == 20


def test_the_place_that_is_announced_is_the_one_that_is_taken(writer: Writer) -> None:
    announced: list[Place] = []
    places = [writer.put([np.zeros(SIZE, np.uint8)], announced.append) for _ in range(7)]
    places.append(writer.put([np.zeros(SIZE, np.uint8)]))
    assert announced == places[:-1]
    assert [place.generation for place in places if place] == list(range(1, 9))


def test_an_announcement_that_fails_gives_the_slot_back(writer: Writer) -> None:
    def fail(_place: Place) -> None:
        raise ConnectionError("nobody there")

    for _ in range(10):
        with pytest.raises(ConnectionError):
            writer.put([np.zeros(SIZE, np.uint8)], fail)
    assert writer.put([np.zeros(SIZE, np.uint8)]) is not None
    assert not writer.counts.total


def test_one_that_has_moved_on_is_not_waited_for(writer: Writer) -> None:
    reader = Reader()
    first = writer.put([np.zeros(SIZE, np.uint8)])
    assert first is not None

    def announce(place: Place) -> None:
        if place.slot == first.slot:
            with pytest.raises(Overwritten):
                reader.lease(first, [SIZE])
            seen.append(place)

    seen: list[Place] = []
    for _ in range(3):
        writer.put([np.zeros(SIZE, np.uint8)], announce)
    assert len(seen) == 1


def test_a_larger_message_amid_another_has_it_announced_again(folder: Path) -> None:
    writer, reader = Writer(slots=2, max_bytes=1 << 20, folder=folder), Reader(folder=folder)
    announced: list[Place] = []

    def put(size: int) -> None:
        assert writer.put([np.zeros(size, np.uint8)]) is not None

    def announce(place: Place) -> None:
        announced.append(place)
        if len(announced) == 1:
            put(508 << 10)  # leaves no room for the segment before

    place = writer.put([np.full(8, 3, np.uint8)], announce)
    assert len(announced) == 2
    assert announced[1] == place
    assert place is not None
    assert bytes(reader.lease(place, [8])[0]) == bytes([3] * 8)
    with pytest.raises(SegmentGone):
        reader.lease(announced[0], [8])


def test_readers_wait_for_what_is_announced(peer: Callable[[], PeerProcess]) -> None:
    writer, readers = peer(), [peer() for _ in range(3)]
    writer("writer", slots=2)
    place = writer("put_when_told", size=SIZE, value=7)
    for reader in readers:
        reader.send("lease", name="a", place=place, size=SIZE)
    writer.go()
    assert writer.answer() == place
    # A loaded machine may take longer than they are willing to wait; what they get is whole.
    said = [reader.answer() for reader in readers]
    assert set(said) <= {"", "Unfinished"}
    for reader, word in zip(readers, said, strict=True):
        if word:
            assert reader("lease", name="a", place=place, size=SIZE) == ""
        assert reader("values", name="a") == [7]
    writer("put_others", size=SIZE, first=10, count=20)
    assert [reader("values", name="a") for reader in readers] == [[7]] * 3


CHILD = """
import json, os, sys, numpy as np
from lowlat_nodes.transport.shm.writer import Writer

def announce(place):
    print(json.dumps(place), flush=True)
    os.kill(os.getpid(), int(sys.argv[1]))

writer = Writer(slots=3)
writer.put([np.full(1 << 20, 7, np.uint8)], announce)
print("done", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def child(number: int) -> Iterator[tuple[subprocess.Popen[str], Place]]:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(int(number))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        segment, slot, generation, offsets = json.loads(process.stdout.readline())
        place = Place(segment, slot, generation, tuple(offsets))
        try:
            yield process, place
        finally:
            process.kill()
            with contextlib.suppress(FileNotFoundError):
                Path("/dev/shm", segment).unlink()


def test_a_writer_that_stops_in_between_holds_nobody_up() -> None:
    reader = Reader()
    with child(signal.SIGSTOP) as (process, place):
        with pytest.raises(Unfinished):
            reader.lease(place, [SIZE])
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        (view,) = reader.lease(place, [SIZE])
        assert np.all(np.frombuffer(view, np.uint8) == 7)


def test_a_writer_that_dies_in_between_leaves_nothing_to_wait_for() -> None:
    reader = Reader()
    with child(signal.SIGKILL) as (process, place):
        process.wait(PATIENCE_S)
        with pytest.raises((Overwritten, SegmentGone)):  # other tests free what dead ones leave
            reader.lease(place, [SIZE])
