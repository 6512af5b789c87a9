# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Journals that were cut off anywhere."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from lowlat_nodes.transport.parquet.journal import Journal, finish, left_behind

pytestmark = pytest.mark.dataset
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SCHEMA = arrow.schema([("number", arrow.int64()), ("name", arrow.string())])


def batch(first: int) -> object:
    rows = [{"number": number, "name": f"n{number}"} for number in range(first, first + 3)]
    return arrow.RecordBatch.from_pylist(rows, schema=SCHEMA)


def test_a_journal_cut_off_anywhere_gives_its_whole_batches(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.parquet", SCHEMA)
    (path,) = tmp_path.iterdir()
    ends = [path.stat().st_size]
    for number in range(3):
        journal.append(batch(3 * number))
        ends.append(path.stat().st_size)
    journal.close()
    whole = path.read_bytes()
    for size in range(0, len(whole) + 1, 3):
        path.write_bytes(whole[:size])
        finish(path)
        count = sum(size >= end for end in ends[1:])
        if count:
            table = parquet.read_table(tmp_path / "a.parquet")
            assert table.column("number").to_pylist() == list(range(3 * count))
            (tmp_path / "a.parquet").unlink()
        assert list(tmp_path.iterdir()) == []


def test_a_journal_that_ends_in_zeros_gives_its_whole_batches(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.parquet", SCHEMA)
    journal.append(batch(0))
    journal.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + bytes(300))
    finish(path)
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == 3


def test_a_disk_that_is_full_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "a.parquet", SCHEMA)
    journal.append(batch(0))

    left = [11]
    write = os.pwrite

    def full(file: int, data: memoryview, offset: int) -> int:
        if not left:
            raise OSError(errno.ENOSPC, "no space left on device")
        return write(file, data[: left.pop()], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="no space"):
            journal.append(batch(3))
    assert journal.rows == 3
    journal.append(batch(3))
    journal.finish()
    journal.close()
    assert parquet.read_table(tmp_path / "a.parquet").column("number").to_pylist() == list(range(6))


def test_only_what_nobody_holds_is_left_behind(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.parquet", SCHEMA)
    assert list(left_behind(tmp_path)) == []
    journal.close()
    assert [path.name for path in left_behind(tmp_path)] == [".a.parquet.arrows"]


def test_a_journal_that_is_taken_for_left_behind_as_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = fcntl.flock, []

    def first_too_late(file: int, how: int) -> None:
        if not taken and how == fcntl.LOCK_EX:
            taken.append(next(tmp_path.glob(".*")))
            finish(taken[0])
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", first_too_late)
    journal = Journal(tmp_path / "a.parquet", SCHEMA)
    journal.append(batch(0))
    journal.finish()
    journal.close()
    assert taken
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == 3
