# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What transports rely on holds for each implementation of shared memory that is installed."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from shm_peers import PeerProcess

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.transport.shm import iceoryx
from lowlat_nodes.transport.shm.backend import AnyReader, SharedWriter, open_writer
from lowlat_nodes.transport.shm.errors import LeaseError, Overwritten, SegmentGone, SegmentRefused
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.writer import Writer

SIZE = 1 << 16

Start: TypeAlias = Callable[[], PeerProcess]


@pytest.fixture(
    params=[
        "slots",
        pytest.param(
            "iceoryx2",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("iceoryx2") is None,
                reason="iceoryx2 is not installed (extra: iceoryx2)",
            ),
        ),
    ]
)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of a backend."""
    name: str = request.param
    return name


@pytest.fixture
def writer(backend: str) -> Iterator[SharedWriter]:
    """A writer of three slots."""
    made = open_writer(backend, slots=3, name_hint="test")
    yield made
    made.close()


@pytest.fixture
def reader(writer: SharedWriter) -> Iterator[AnyReader]:
    """A reader that the writer knows."""
    made = AnyReader()
    meet(writer, made)
    yield made
    made.close()


def put(writer: SharedWriter, value: int, size: int = SIZE) -> Place:
    place = writer.put([np.full(size, value, np.uint8)])
    assert place is not None
    return place


def array(reader: AnyReader, place: Place, size: int = SIZE) -> NDArray[np.uint8]:
    return np.frombuffer(reader.lease(place, [size])[0], np.uint8)


def meet(writer: SharedWriter, reader: AnyReader, size: int = SIZE) -> None:
    """Let a reader open the segment of a writer; the message that made it do so may be lost."""
    for _ in range(2):
        place = put(writer, 0, size)
        try:
            reader.lease(place, [size])
        except Overwritten:
            continue
        return
    pytest.fail("the second message was lost too")


def test_arrays_come_out_as_they_went_in(writer: SharedWriter, reader: AnyReader) -> None:
    arrays: list[NDArray[Any]] = [np.arange(12.0).reshape(3, 4)[::2], np.zeros(0, np.float32), np.arange(5)]
    place = writer.put(arrays)
    assert place is not None
    views = reader.lease(place, [each.nbytes for each in arrays])
    for sent, view in zip(arrays, views, strict=True):
        assert view.readonly
        np.testing.assert_array_equal(np.frombuffer(view, sent.dtype).reshape(sent.shape), sent)
        assert np.frombuffer(view, np.uint8).ctypes.data % 64 == 0 or not sent.size


def test_what_is_held_stays_what_it_is(writer: SharedWriter, reader: AnyReader) -> None:
    held = [array(reader, put(writer, value)) for value in (1, 2)]
    for value in range(10, 60):
        newest = array(reader, put(writer, value))
        assert (newest == value).all()
        del newest
    assert [np.unique(each).tolist() for each in held] == [[1], [2]]


def test_the_last_view_gives_the_lease_back(writer: SharedWriter, reader: AnyReader) -> None:
    held = [array(reader, put(writer, value)) for value in (1, 2, 3)]
    refused = [writer.put([np.zeros(SIZE, np.uint8)]) is None for _ in range(8)]
    assert refused[-1]
    assert writer.counts["slots_leased"] >= 1
    part = held[0][5:]
    held.clear()
    assert (part == 1).all()
    for value in range(20):
        assert (array(reader, put(writer, value)) == value).all()
    assert (part == 1).all()


def test_one_message_is_leased_twice(writer: SharedWriter, reader: AnyReader) -> None:
    place = put(writer, 1)
    first, second = array(reader, place), array(reader, place)
    del first
    for value in range(10, 30):
        put(writer, value)
    assert (second == 1).all()


def test_two_readers_hold_a_message(writer: SharedWriter, reader: AnyReader) -> None:
    other = AnyReader()
    meet(writer, other)
    place = put(writer, 1)
    first, second = array(reader, place), array(other, place)
    del first
    for value in range(10, 30):
        put(writer, value)
    assert (second == 1).all()


def test_a_message_that_was_overwritten_is_lost(writer: SharedWriter, reader: AnyReader) -> None:
    first = put(writer, 1)
    for value in range(10):
        last = put(writer, value)
    with pytest.raises(Overwritten):
        reader.lease(first, [SIZE])
    assert (array(reader, last) == 9).all()


def test_a_loan_is_published_without_a_copy(writer: SharedWriter, reader: AnyReader) -> None:
    with writer.loan((SIZE // 4,), "<f4") as loan:  # type: ignore[union-attr]
        loan.array[:] = 3.0
        assert writer.place_of(loan.array.copy()) is None
        found = writer.place_of(loan.array)
        assert found is not None
        place = writer.commit(found)
        kept = loan.array
    assert place is not None
    assert (array(reader, place).view("<f4") == 3.0).all()
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1.0
    for value in range(20):
        put(writer, value)
    assert (kept == 3.0).all(), "what the writer still holds is not overwritten either"
    with pytest.raises(ValueError, match="published"):
        writer.commit(found)


def test_loans_that_are_dropped_are_given_back(writer: SharedWriter) -> None:
    for _ in range(50):
        with writer.loan((SIZE,), "u1") as loan:  # type: ignore[union-attr]
            loan.array[:] = 1
    assert writer.counts.total == 0


def test_messages_may_grow(writer: SharedWriter, reader: AnyReader) -> None:
    held = array(reader, put(writer, 1))
    meet(writer, reader, 10 * SIZE)
    assert (array(reader, put(writer, 2, 10 * SIZE), 10 * SIZE) == 2).all()
    assert (array(reader, put(writer, 3)) == 3).all()
    assert (held == 1).all()


def test_too_large_messages_are_counted(backend: str) -> None:
    writer = open_writer(backend, slots=3, max_bytes=10 * SIZE)
    assert writer.put([np.zeros(20 * SIZE, np.uint8)]) is None
    assert writer.counts.snapshot() == {"too_large": 1}
    assert put(writer, 1)
    writer.close()
    assert writer.put([np.zeros(2 * SIZE, np.uint8)]) is None


def test_places_outside_are_refused(writer: SharedWriter, reader: AnyReader) -> None:
    for offsets, sizes in [((0,), (1 << 40,)), ((-1,), (1,)), ((0,), (-1,)), ((1 << 40,), (1,)), ((0,), ())]:
        place = put(writer, 1)._replace(offsets=offsets)
        with pytest.raises(SegmentRefused):
            reader.lease(place, sizes)


def test_leases_outlive_reader_and_writer(writer: SharedWriter, reader: AnyReader) -> None:
    place = put(writer, 7)
    view = array(reader, place)
    writer.close()
    reader.close()
    assert (view == 7).all()
    with pytest.raises(LeaseError):
        AnyReader().lease(place, [SIZE])


def test_leases_end_in_other_threads(writer: SharedWriter, reader: AnyReader) -> None:
    held: list[NDArray[np.uint8]] = []
    for value in range(50):
        held.append(array(reader, put(writer, value)))
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
    assert writer.counts.total == 0


def test_a_killed_reader_holds_nothing(backend: str, peer: Start) -> None:
    writer, victim = peer(), peer()
    writer("backend", name=backend, slots=3)
    victim("backend", name=backend)
    while (place := writer("put", size=SIZE, value=1)) is not None:
        victim("lease", name=str(place), place=place, size=SIZE)
    victim.kill()
    deadline = time.monotonic() + 60.0
    while writer("put_others", size=SIZE, first=10, count=10) < 10:
        assert time.monotonic() < deadline, "its leases are still there"
        time.sleep(0.05)


def test_a_stopped_reader_holds_nobody_up(backend: str, peer: Start) -> None:
    writer, stopped, other = peer(), peer(), peer()
    writer("backend", name=backend, slots=4)
    for reader in (stopped, other):
        reader("backend", name=backend)
    names = []
    for value in (1, 2, 3):
        place = writer("put", size=SIZE, value=value)
        if stopped("lease", name=str(value), place=place, size=SIZE) == "":
            names.append(value)
        other("lease", name="x", place=place, size=SIZE)
    assert len(names) >= 2
    stopped.stop()
    assert writer("put_others", size=SIZE, first=10, count=50) == 50
    place = writer("put", size=SIZE, value=77)
    assert other("lease", name="x", place=place, size=SIZE) == ""
    assert other("values", name="x") == [77]
    stopped.go_on()
    assert [stopped("values", name=str(value)) for value in names] == [[value] for value in names]


def test_a_killed_writer_leaves_whole_messages(backend: str, peer: Start) -> None:
    writer, reader = peer(), peer()
    writer("backend", name=backend, slots=3)
    reader("backend", name=backend)
    for value in (1, 2, 3):
        place = writer("put", size=SIZE, value=value)
        error = reader("lease", name="held", place=place, size=SIZE)
    assert error == ""
    assert writer("loan", size=SIZE, value=99) == SIZE
    writer.kill()
    reader("sweep")
    assert reader("values", name="held") == [3]
    late = peer()
    late("backend", name=backend)
    late("sweep")
    assert late("lease", name="x", place=place, size=SIZE) in {"", "SegmentGone", "Overwritten"}


def test_ours_is_taken_where_nothing_else_is_said() -> None:
    assert isinstance(open_writer(), Writer)
    with pytest.raises(ConfigurationError, match="auto, slots, iceoryx2"):
        open_writer("zenoh")


def test_a_place_of_neither_is_refused() -> None:
    for name in ("iceoryx2", "other_1_2_0000abcd", ""):
        with pytest.raises(SegmentRefused):
            AnyReader().lease(Place(name, 0, 1, (0,)), [1])


class TestIceoryx:
    """What is its own."""

    def test_it_is_asked_for_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "iceoryx2", None)
        iceoryx.library.cache_clear()
        with pytest.raises(MissingExtra, match=r"lowlat_nodes\[iceoryx2\]"):
            open_writer("iceoryx2")
        with pytest.raises(SegmentRefused, match=r"lowlat_nodes\[iceoryx2\]"):
            AnyReader().lease(Place("iceoryx2_lowlat_1_2_0000abcd", 0, 1, (0,)), [1])

    def test_groups_are_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="not with the group 'users'"):
            open_writer("iceoryx2", group="users")

    def test_strange_names_are_refused(self) -> None:
        pytest.importorskip("iceoryx2")
        for name in ("iceoryx2_", "iceoryx2_../../etc/passwd", "iceoryx2_a"):
            with pytest.raises(SegmentRefused, match="expected the name of a service"):
                AnyReader().lease(Place(name, 0, 1, (0,)), [1])
        with pytest.raises(SegmentGone):
            AnyReader().lease(Place("iceoryx2_lowlat_1_2_0000abcd", 0, 1, (0,)), [1])
