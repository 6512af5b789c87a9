# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A writer fills free slots only, grows with its messages, and removes what it made."""

from __future__ import annotations

import gc
import grp
import os
import stat
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.shm.errors import Overwritten, SegmentGone
from lowlat_nodes.transport.shm.layout import PAGE
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.reader import Reader
from lowlat_nodes.transport.shm.writer import Writer

KIB = 1 << 10


def full(size: int, value: int) -> NDArray[np.uint8]:
    return np.full(size, value, np.uint8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(writer: Writer, size: int = 64 * KIB, value: int = 0) -> Place:
    place = writer.put([full(size, value)])
    assert place is not None
    return place


def test_arrays_come_out_as_they_went_in(folder: Path) -> None:
    writer, reader = Writer(folder=folder), Reader(folder=folder)
    arrays: list[NDArray[Any]] = [
        np.arange(12.0).reshape(3, 4),
        np.arange(24, dtype="<i2").reshape(2, 3, 4)[:, ::-1, ::2],
        np.zeros((0, 5), np.float32),
        np.array(7, np.int64),
        full(3, 1),
    ]
    place = writer.put(arrays)
    assert place is not None
    assert all(offset % 64 == 0 for offset in place.offsets)
    views = reader.lease(place, [array.nbytes for array in arrays])
    for array, view in zip(arrays, views, strict=True):
        assert view.readonly
        found = np.frombuffer(view, array.dtype).reshape(array.shape)
        np.testing.assert_array_equal(found, array)


def test_nothing_is_allocated_before_the_first_message(folder: Path) -> None:
    writer = Writer(folder=folder, name_hint="/camera/front image")
    assert names(folder) == []
    place = put(writer)
    assert names(folder) == [place.segment]
    assert place.segment.startswith(f"lowlat_camera-front-image_{os.getpid()}_")
    assert (folder / place.segment).stat().st_size == PAGE + 8 * 64 * KIB
    writer.close()
    assert names(folder) == []
    assert writer.put([full(1, 1)]) is None


def test_the_slot_written_longest_ago_is_next(folder: Path) -> None:
    writer, reader = Writer(slots=3, folder=folder), Reader(folder=folder)
    places = [put(writer) for _ in range(3)]
    held = reader.lease(places[0], [8])
    assert [put(writer).slot for _ in range(4)] == [1, 2, 1, 2]
    del held
    assert put(writer).slot == 0


def test_a_message_that_finds_no_free_slot_is_counted(folder: Path) -> None:
    writer, reader = Writer(slots=2, folder=folder), Reader(folder=folder)
    held = [reader.lease(put(writer, value=value), [8]) for value in (1, 2)]
    assert writer.put([full(8, 3)]) is None
    assert writer.loan((8,), "u1") is None
    assert writer.counts.snapshot() == {"slots_leased": 2}
    assert [bytes(views[0]) for views in held] == [bytes([1] * 8), bytes([2] * 8)]
    held.pop()
    assert put(writer).slot == 1


def test_larger_messages_move_to_a_larger_segment(folder: Path) -> None:
    writer, reader = Writer(slots=4, folder=folder), Reader(folder=folder)
    small = put(writer, 10 * KIB, 1)
    held = reader.lease(small, [10 * KIB])
    large = put(writer, 100 * KIB, 2)
    assert large.segment != small.segment
    assert sorted([small.segment, large.segment]) == names(folder), "the last small ones may still be read"
    for _ in range(3):
        put(writer, 10 * KIB)
    assert names(folder) == [large.segment]
    assert bytes(held[0]) == bytes([1] * 10 * KIB)
    with pytest.raises(SegmentGone, match="replaced"):
        Reader(folder=folder).lease(small, [10 * KIB])
    assert bytes(reader.lease(large, [3])[0]) == bytes([2] * 3)


def test_slowly_growing_messages_do_not_move_each_time(folder: Path) -> None:
    writer = Writer(folder=folder)
    segments = {put(writer, size).segment for size in range(10 * KIB, 100 * KIB, 512)}
    assert len(segments) <= 8


def test_memory_is_bounded(folder: Path) -> None:
    writer = Writer(slots=8, max_bytes=1 << 20, folder=folder)
    for size in (100, 10 * KIB, 100 * KIB, 60 * KIB, 300 * KIB, 500 * KIB):
        place = put(writer, size)
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 1 << 20
    assert place.segment in names(folder)
    assert writer.put([full(600 * KIB, 0)]) is None
    assert writer.counts.snapshot() == {"too_large": 1}
    put(writer, 500 * KIB)


def test_a_loan_is_published_without_a_copy(folder: Path) -> None:
    writer, reader = Writer(folder=folder), Reader(folder=folder)
    with writer.loan((4, 8), "<f4") as loan:
        loan.array[:] = 3.0
        array = loan.array
        found = writer.place_of(array)
        assert found is not None
        place = writer.commit(found)
        assert place is not None
        assert place.offsets == (0,)
        (view,) = reader.lease(place, [128])
        assert np.shares_memory(array, loan.array)
        assert (np.frombuffer(view, "<f4") == 3.0).all()
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1.0
        with pytest.raises(ValueError, match="published"):
            writer.commit(loan)
        assert writer.place_of(array) is None


def test_part_of_a_loan_may_be_published(folder: Path) -> None:
    writer, reader = Writer(folder=folder), Reader(folder=folder)
    loan = writer.loan((1000,), "u1")
    assert loan is not None
    loan.array[:10] = range(10)
    found = writer.place_of(loan.array[:10])
    assert found is not None
    place = writer.commit(found)
    assert place is not None
    assert bytes(reader.lease(place, [10])[0]) == bytes(range(10))
    assert not loan.array.flags.writeable


def test_arrays_elsewhere_are_no_loans(folder: Path) -> None:
    writer = Writer(folder=folder)
    loan = writer.loan((8, 8), "u1")
    assert loan is not None
    for array in (full(64, 0), loan.array[1:], loan.array.T[:, :4], loan.array.copy()):
        assert writer.place_of(array) is None
    assert Writer(folder=folder).place_of(loan.array) is None


def test_a_loan_that_is_dropped_gives_its_slot_back(folder: Path) -> None:
    writer = Writer(slots=2, folder=folder)
    for _ in range(10):
        with writer.loan((100,), "u1") as loan:
            loan.array[:] = 1
        assert writer.loan((100,), "u1") is not None
    with pytest.raises(ValueError, match="given back"):
        loan.array  # noqa: B018
    assert writer.counts.total == 0


def test_a_slot_is_not_used_while_arrays_on_it_are_left(folder: Path) -> None:
    writer = Writer(slots=2, folder=folder)
    with writer.loan((100,), "u1") as loan:
        loan.array[:] = 5
        kept = loan.array[50:]
        writer.commit(loan)
    del loan
    for value in range(10):
        put(writer, 100, value)
    assert (kept == 5).all()
    with writer.loan((100,), "u1") as loan:
        unpublished = loan.array
    assert writer.place_of(unpublished) is None, "it has been given back"
    assert writer.put([full(100, 1)]) is None
    del unpublished, kept, loan
    put(writer)


def test_loans_in_garbage_are_given_back(folder: Path) -> None:
    writer = Writer(slots=2, folder=folder)
    for _ in range(20):
        loan = writer.loan((100,), "u1")
        assert loan is not None
        cycle: list[Any] = [loan.array]
        cycle.append(cycle)
        del loan, cycle
        gc.collect()


def test_a_loan_outlives_its_segment_and_its_writer(folder: Path) -> None:
    writer, reader = Writer(slots=2, max_bytes=1 << 20, folder=folder), Reader(folder=folder)
    first = writer.loan((1000,), "u1")
    assert first is not None
    first.array[:] = 1
    put(writer, 400 * KIB)
    place = writer.commit(first)
    assert place is not None
    assert bytes(reader.lease(place, [1000])[0]) == bytes([1] * 1000)
    second = writer.loan((1000,), "u1")
    assert second is not None
    writer.close()
    second.array[:] = 2
    assert writer.commit(second) is None
    assert (second.array == 2).all()


def test_what_is_retained_is_not_overwritten(folder: Path) -> None:
    writer, reader = Writer(slots=2, folder=folder), Reader(folder=folder)
    first = put(writer, value=1)
    writer.retain(first)
    for value in range(10, 15):
        second = put(writer, value=value)
    assert bytes(reader.lease(first, [3])[0]) == bytes([1] * 3)
    writer.retain(second)
    put(writer)
    with pytest.raises(Overwritten):
        reader.lease(first, [3])
    assert bytes(reader.lease(second, [3])[0]) == bytes([14] * 3)
    writer.retain(None)
    assert {put(writer).slot for _ in range(4)} == {0, 1}


def test_what_is_retained_keeps_its_segment(folder: Path) -> None:
    writer = Writer(slots=2, folder=folder)
    first = put(writer, 10, 1)
    writer.retain(first)
    for _ in range(10):
        place = put(writer, 100 * KIB)
    assert bytes(Reader(folder=folder).lease(first, [10])[0]) == bytes([1] * 10)
    writer.retain(place)
    put(writer)
    assert names(folder) == [place.segment]


def test_python_objects_are_refused(folder: Path) -> None:
    writer = Writer(folder=folder)
    with pytest.raises(ValueError, match="Python objects"):
        writer.put([np.array([object()])])
    with pytest.raises(ValueError, match="Python objects"):
        writer.loan((1,), object)


def test_a_copy_that_fails_loses_no_slot(folder: Path) -> None:
    class Broken(np.ndarray):  # type: ignore[type-arg]
        def __array_function__(self, *called: Any) -> None:
            raise MemoryError

    writer = Writer(slots=2, folder=folder)
    for _ in range(10):
        with pytest.raises(MemoryError):
            writer.put([np.zeros(100).view(Broken)])
    put(writer)


@pytest.mark.parametrize("slots", [0, 1, 257])
def test_impossible_numbers_of_slots_are_refused(slots: int) -> None:
    with pytest.raises(ConfigurationError, match="from 2 to 256"):
        Writer(slots=slots)


def test_files_are_for_their_user_or_a_group(folder: Path) -> None:
    own, shared = Writer(folder=folder), Writer(folder=folder, group=grp.getgrgid(os.getegid()).gr_name)
    for writer, mode in ((own, 0o600), (shared, 0o640)):
        status = (folder / put(writer).segment).stat()
        assert stat.S_IMODE(status.st_mode) == mode
        assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())


def test_groups_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'no-such-group'"):
        Writer(group="no-such-group")
    with pytest.raises(ConfigurationError, match="'no-such-group'"):
        Reader(group="no-such-group")


def test_without_shared_memory_messages_go_another_way(tmp_path: Path) -> None:
    writer = Writer(folder=tmp_path / "missing")
    assert writer.put([full(8, 0)]) is None
    assert writer.counts.snapshot() == {"unavailable": 1}
    assert writer.put([full(8, 0)]) is None, "and it is not tried for each of them"
    assert writer.counts.total == 2


def test_threads_write_side_by_side(folder: Path) -> None:
    writer, reader = Writer(slots=8, folder=folder), Reader(folder=folder)
    torn: list[int] = []

    def write(value: int) -> None:
        for _ in range(200):
            place = writer.put([full(64 * KIB, value)])
            if place is None:
                continue
            try:
                (view,) = reader.lease(place, [64 * KIB])
            except Overwritten:
                continue
            if (np.frombuffer(view, np.uint8) != value).any():
                torn.append(value)

    threads = [threading.Thread(target=write, args=(value,)) for value in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn
    assert {put(writer).slot for _ in range(8)} == set(range(8)), "all leases have been given back"
