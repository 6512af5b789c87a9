# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Readers see whole messages or say why not; leases end with their views; strangers are refused."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.transport.shm.errors import Overwritten, SegmentGone, SegmentRefused
from lowlat_nodes.transport.shm.layout import PAGE, Header
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.reader import Reader
from lowlat_nodes.transport.shm.writer import Writer

SIZE = 4096
NAME = "lowlat_1_2_0000abcd"


@pytest.fixture
def writer(folder: Path) -> Iterator[Writer]:
    """A writer with two slots."""
    made = Writer(slots=2, folder=folder)
    yield made
    made.close()


@pytest.fixture
def reader(folder: Path) -> Reader:
    return Reader(folder=folder)


def put(writer: Writer, value: int, size: int = SIZE) -> Place:
    place = writer.put([np.full(size, value, np.uint8)])
    assert place is not None
    return place


def array(reader: Reader, place: Place, size: int = SIZE) -> NDArray[np.uint8]:
    return np.frombuffer(reader.lease(place, [size])[0], np.uint8)


def free_slots(writer: Writer) -> int:
    """Return how many slots the writer could use."""
    return len({place.slot for _ in range(4) if (place := writer.put([np.zeros(1, np.uint8)]))})


def test_the_last_view_gives_the_lease_back(writer: Writer, reader: Reader) -> None:
    whole = array(reader, put(writer, 1)).reshape(64, 64)
    part = whole[::2, 5].view("i1")
    assert free_slots(writer) == 1
    del whole
    assert free_slots(writer) == 1
    assert (part == 1).all()
    del part
    assert free_slots(writer) == 2


def test_each_array_of_a_message_keeps_the_lease(writer: Writer, reader: Reader) -> None:
    place = writer.put([np.arange(3), np.arange(4)])
    assert place is not None
    first, second = reader.lease(place, [24, 32])
    del first
    assert free_slots(writer) == 1
    assert list(np.frombuffer(second, np.int64)) == [0, 1, 2, 3]
    second.release()
    assert free_slots(writer) == 2


def test_a_slot_leased_twice_is_free_after_both(writer: Writer, reader: Reader) -> None:
    place = put(writer, 1)
    first, second = array(reader, place), array(reader, place)
    del first
    assert free_slots(writer) == 1
    assert (second == 1).all()
    del second
    assert free_slots(writer) == 2


def test_two_readers_hold_a_slot(writer: Writer, reader: Reader, folder: Path) -> None:
    place = put(writer, 1)
    first, second = array(reader, place), array(Reader(folder=folder), place)
    del first
    assert free_slots(writer) == 1
    del second
    assert free_slots(writer) == 2


def test_views_cannot_be_written_to(writer: Writer, reader: Reader) -> None:
    view = array(reader, put(writer, 1))
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 2
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True


def test_garbage_gives_leases_back(writer: Writer, reader: Reader) -> None:
    cycle: list[Any] = [array(reader, put(writer, 1))]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert free_slots(writer) == 2


def test_garbage_with_its_reader_gives_leases_back(writer: Writer, folder: Path) -> None:
    reader = Reader(folder=folder)
    cycle: list[Any] = [array(reader, put(writer, 1)), reader]
    cycle.append(cycle)
    del cycle, reader
    gc.collect()
    assert free_slots(writer) == 2


def test_a_message_that_was_overwritten_is_lost(writer: Writer, reader: Reader) -> None:
    first = put(writer, 1)
    for value in range(3):
        last = put(writer, value)
    for _ in range(2):
        with pytest.raises(Overwritten, match="moved on from message 1"):
            reader.lease(first, [SIZE])
    assert (array(reader, last) == 2).all()
    assert free_slots(writer) == 2


def test_an_overwritten_message_is_told_from_a_leased_one_in_its_slot(writer: Writer, reader: Reader) -> None:
    place = put(writer, 1)
    held = array(reader, place)
    with pytest.raises(Overwritten):
        reader.lease(place._replace(generation=place.generation + 2), [SIZE])
    assert free_slots(writer) == 1
    del held
    assert free_slots(writer) == 2


def test_a_slot_that_is_being_written_is_not_leased(writer: Writer, reader: Reader) -> None:
    first = put(writer, 1)
    put(writer, 2)
    loan = writer.loan((SIZE,), "u1")
    assert loan is not None
    for generation in (first.generation, 3):
        with pytest.raises(Overwritten):
            reader.lease(first._replace(generation=generation), [SIZE])


def test_an_empty_slot_holds_no_message(writer: Writer, reader: Reader) -> None:
    place = put(writer, 1)
    with pytest.raises(Overwritten):
        reader.lease(place._replace(slot=1), [SIZE])
    with pytest.raises(SegmentRefused, match="generation from 1"):
        reader.lease(place._replace(slot=1, generation=0), [SIZE])


def test_what_was_never_finished_is_nobodys_message(writer: Writer, reader: Reader) -> None:
    def announce(_: Place) -> None:
        raise OSError

    with contextlib.suppress(OSError):
        writer.put([np.zeros(SIZE, np.uint8)], announce)
    place = put(writer, 1)
    for generation in (1, 1 << 63 | 1, 1 << 64):
        with pytest.raises((Overwritten, SegmentRefused)):
            reader.lease(place._replace(generation=generation), [SIZE])


def test_leases_outlive_reader_writer_and_file(writer: Writer, reader: Reader) -> None:
    view = array(reader, put(writer, 3))
    writer.close()
    reader.close()
    del reader
    gc.collect()
    assert (view == 3).all()


def test_a_closed_reader_may_go_on(writer: Writer, reader: Reader) -> None:
    place = put(writer, 3)
    held = array(reader, place)
    reader.close()
    assert (array(reader, place) == held).all()


def test_a_writer_that_closed_is_gone(writer: Writer, folder: Path) -> None:
    place = put(writer, 3)
    writer.close()
    with pytest.raises(SegmentGone, match="has ended or replaced"):
        Reader(folder=folder).lease(place, [SIZE])


def mapped(folder: Path) -> int:
    """Return how many segments this process has mapped for reading."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sum(str(folder) in line and " r--s " in line for line in maps)


def test_segments_of_writers_that_ended_are_unmapped(folder: Path, reader: Reader) -> None:
    held = []
    for value in range(5):
        writer = Writer(slots=2, folder=folder)
        held.append(array(reader, put(writer, value)))
        writer.close()
    assert mapped(folder) == 5
    assert [view[0] for view in held] == list(range(5))
    del held[1:], writer
    reader.sweep()
    assert mapped(folder) == 1
    held.clear()
    assert mapped(folder) == 0


def test_only_the_newest_segments_stay_mapped(folder: Path, reader: Reader) -> None:
    writers = [Writer(slots=2, folder=folder) for _ in range(40)]
    places = [put(writer, number) for number, writer in enumerate(writers)]
    for number, place in enumerate(places):
        assert array(reader, place)[0] == number
    assert mapped(folder) == 16
    assert array(reader, places[0])[0] == 0
    assert mapped(folder) == 16


def test_opening_and_closing_costs_nothing_that_stays(folder: Path) -> None:
    def once(value: int) -> None:
        writer, reader = Writer(slots=2, folder=folder), Reader(folder=folder)
        view = array(reader, put(writer, value))
        writer.close()
        reader.close()
        assert view[-1] == value

    def open_descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def resident_pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    for number in range(100):
        once(number)
    gc.collect()
    descriptors, maps, pages = open_descriptors(), mapped(folder), resident_pages()
    for number in range(3000):
        once(number % 256)
    gc.collect()
    assert open_descriptors() == descriptors
    assert mapped(folder) == maps == 0
    assert resident_pages() - pages < 1000, "4 MB"
    assert not list(folder.iterdir())


def test_leases_end_in_any_thread(writer: Writer, folder: Path) -> None:
    writer = Writer(slots=4, folder=folder)
    reader = Reader(folder=folder)
    stop = threading.Event()
    failures: list[str] = []

    def read(seed: int) -> None:
        random = np.random.default_rng(seed)
        held: list[tuple[int, NDArray[np.uint8]]] = []
        while not stop.is_set():
            place, value = newest[0]
            with contextlib.suppress(Overwritten):
                held.append((value, array(reader, place)))
            while len(held) > random.integers(3):
                expected, view = held.pop(0)
                if (view != expected).any():
                    failures.append(f"expected {expected}, got {np.unique(view)}")

    newest = [(put(writer, 0), 0)]
    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for number in range(5000):
        place = writer.put([np.full(SIZE, number % 256, np.uint8)])
        if place is not None:
            newest[0] = place, number % 256
        if number % 500 == 0:
            gc.collect()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert len({put(writer, 0).slot for _ in range(4)}) == 4


# What is not a segment of ours.


def refused(folder: Path, place: Place, match: str, sizes: tuple[int, ...] = (SIZE,)) -> None:
    with pytest.raises(SegmentRefused, match=match):
        Reader(folder=folder).lease(place, sizes)


@pytest.mark.parametrize(
    ("slot", "offsets", "sizes"),
    [
        (-1, (0,), (1,)),
        (2, (0,), (1,)),
        (1 << 70, (0,), (1,)),
        (0, (0,), (SIZE + 1,)),
        (0, (SIZE,), (1,)),
        (0, (-1,), (1,)),
        (0, (0,), (-1,)),
        (0, (1 << 70,), (1,)),
        (0, (0, SIZE - 1), (1, 2)),
    ],
)
def test_places_outside_of_a_slot_are_refused(
    folder: Path, writer: Writer, slot: int, offsets: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    place = put(writer, 1)
    refused(folder, place._replace(slot=slot, offsets=offsets), "expected a slot|are not in a slot", sizes)
    assert free_slots(writer) == 2


def test_as_many_arrays_as_places_are_expected(folder: Path, writer: Writer) -> None:
    refused(folder, put(writer, 1), "1 places for 2 arrays", (1, 1))


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../lowlat_1_2_0000abcd",
        "/etc/passwd",
        "passwd",
        "lowlat_1_2_0000abcd\n",
        "lowlat_x",
        "ä",
    ],
)
def test_other_names_are_refused(folder: Path, name: str) -> None:
    refused(folder, Place(name, 0, 1, (0,)), "expected the name of one")


def test_symbolic_links_are_refused(folder: Path, writer: Writer) -> None:
    (folder / NAME).symlink_to(put(writer, 1).segment)
    refused(folder, Place(NAME, 0, 1, (0,)), "Too many levels of symbolic links")


def test_what_is_no_file_is_refused(folder: Path) -> None:
    (folder / NAME).mkdir()
    refused(folder, Place(NAME, 0, 1, (0,)), "expected a file of this user")
    (folder / NAME).rmdir()
    os.mkfifo(folder / NAME)
    refused(folder, Place(NAME, 0, 1, (0,)), "expected a file of this user")


GOOD = Header(2, PAGE, 1, 2).pack()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "at least 4096"),
        (GOOD, "at least 4096"),
        (bytes(3 * PAGE), "expected b'LOWLATSM'"),
        (b"LOWLATSM\x02" + bytes(3 * PAGE), "version 1"),
        (GOOD.ljust(2 * PAGE), "are not a file of"),
        (GOOD.ljust(3 * PAGE + 1), "are not a file of"),
        (Header(0, PAGE, 1, 2).pack().ljust(PAGE), "0 slots"),
        (Header(257, PAGE, 1, 2).pack().ljust(258 * PAGE), "257 slots"),
        (Header(2, 0, 1, 2).pack().ljust(PAGE), "slots of 0 bytes"),
        (Header(2, 100, 1, 2).pack().ljust(PAGE + 200), "slots of 100 bytes"),
        (Header(1 << 31, 1 << 63, 1, 2).pack().ljust(PAGE), "are not a file of"),
    ],
)
def test_garbage_is_refused(folder: Path, content: bytes, match: str) -> None:
    (folder / NAME).write_bytes(content)
    refused(folder, Place(NAME, 0, 1, (0,)), match)
    assert mapped(folder) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_files_of_other_users_are_refused(folder: Path, writer: Writer) -> None:
    place = put(writer, 1)
    os.chown(folder / place.segment, 12345, 12345)
    refused(folder, place, "user 12345")
