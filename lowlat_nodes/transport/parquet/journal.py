# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Rows on their way into a Parquet file, which is none before its end is written; here they are safe at once.

A journal is a stream of Arrow (the IPC streaming format) that may stop anywhere. Its process holds a lock on
it, so that what nobody holds was left behind by one that died.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lowlat_nodes.transport.dataset.arrow import pyarrow

SUFFIX = ".arrows"
_GROUP_ROWS = 50_000


class Journal:
    """A new journal, next to the Parquet file that it will be.

    Args:
        path: Where the Parquet file will be; the journal is hidden beside it.
        schema: The pyarrow schema of its batches.

    Attributes:
        rows: How many rows are in it.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        self.rows = 0
        self._path = _journal(path)
        self._file = _made(self._path)
        self._end = 0
        try:
            self._append(schema.serialize())
            _sync_folder(path.parent)
        except OSError:
            self.close()
            raise

    def append(self, batch: Any) -> None:
        """Append a pyarrow RecordBatch and wait until it is on the disk.

        Raises:
            OSError: If the disk does not take it; the journal is as before.
        """
        self._append(batch.serialize())
        self.rows += batch.num_rows

    def _append(self, data: Any) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.pwrite(self._file, left, self._end + len(data) - len(left)) :]
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._end += len(data)

    def finish(self) -> None:
        """Turn the journal into its Parquet file and remove it.

        Raises:
            OSError: If the disk does not take the file; the journal stays.
        """
        finish(self._path)

    def close(self) -> None:
        """Let go of the journal, which stays where it was not finished."""
        os.close(self._file)


def _made(path: Path) -> int:
    """Return a new file with our lock on it."""
    while True:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return file
        os.close(file)  # another process took it for left behind, before the lock


def left_behind(folder: Path) -> Iterator[Path]:
    """Yield the journals in a folder that no living process writes, locked while the caller looks at each."""
    for path in sorted(folder.glob(f".*{SUFFIX}")):
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:  # another process was faster
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink:
                yield path
        except BlockingIOError:
            continue
        finally:
            os.close(file)


def finish(journal: Path) -> None:
    """Turn a journal into its Parquet file, up to where it is whole, and remove it.

    The file appears under its name complete, or not at all. A journal without rows leaves no file.

    Raises:
        OSError: If the disk does not take the file; the journal stays.
    """
    arrow = pyarrow()
    path = journal.with_name(journal.name.removeprefix(".").removesuffix(SUFFIX))
    batches, schema = _read(journal)
    if batches:
        temporary = journal.with_name(f".{path.name}.tmp")
        table = arrow.Table.from_batches(batches, schema)
        with temporary.open("wb") as file:
            arrow.parquet.write_table(table, file, compression="zstd", row_group_size=_GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    journal.unlink()


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _journal(path: Path) -> Path:
    return path.with_name(f".{path.name}{SUFFIX}")


def _read(journal: Path) -> tuple[list[Any], Any]:
    """Return the whole batches at the beginning of a journal, and its schema."""
    arrow = pyarrow()
    batches: list[Any] = []
    with arrow.memory_map(str(journal)) if journal.stat().st_size else contextlib.nullcontext() as file:
        if file is None:
            return batches, None
        try:
            stream = arrow.ipc.open_stream(file)
            schema = stream.schema
            for batch in stream:
                batch.validate(full=True)
                batches.append(batch)
        except (arrow.ArrowException, OSError, EOFError):  # cut off by a kill
            schema = batches[0].schema if batches else None
    return batches, schema
