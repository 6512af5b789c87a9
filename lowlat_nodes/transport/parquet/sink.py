# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A sink that writes records into the Parquet files of a folder."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.parquet.columns import Columns
from lowlat_nodes.transport.parquet.journal import Journal, finish, left_behind

_MAX_WAITING = 10_000  # rows in memory


class ParquetSink:
    """Writes records as rows; what was flushed survives a kill.

    Rows go into a hidden journal, and out of it into a Parquet file as soon as the file has enough of them or
    has waited long enough. Files appear whole, under names that sort by time. Journals that a killed process
    left in the folder become files when a sink is made there. Several processes may share a folder.

    Args:
        folder: Where the files go; made if it is not there.
        fields: The type of each field of the records, see `Columns`.
        rows: Rows of a file.
        seconds: Longest time from the first row of a file to the file.

    Raises:
        ConfigurationError: If the folder cannot be written.
        MissingExtra: If pyarrow is not installed.
    """

    def __init__(
        self, folder: Path, fields: Mapping[str, Any], *, rows: int = 50_000, seconds: float = 600.0
    ) -> None:
        self._folder = folder
        self._columns = Columns(fields)
        self._rows = rows
        self._seconds = seconds
        self._waiting: list[dict[str, Any]] = []
        self._journal: Journal | None = None
        self._due_s = 0.0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for journal in left_behind(folder):
                finish(journal)
        except OSError as error:
            raise ConfigurationError(f"cannot write to {folder}: {error.strerror or error}") from error
        self._keeper = threading.Thread(target=self._keep_time, name="parquet", daemon=True)
        self._keeper.start()

    def write(self, message: Message) -> None:
        """Take a record; it is safe after the next `flush`.

        Raises:
            UnfitRecord: If it has other fields, or values of other types.
            OSError: If too many rows wait already and the disk does not take them.
        """
        row = self._columns.row(message)
        with self._lock:
            if len(self._waiting) >= _MAX_WAITING:
                self._append()
            self._waiting.append(row)

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002 # a disk cannot be waited for in part
        """Wait until all that was written is on the disk.

        Raises:
            OSError: If the disk does not take it; it is kept and tried again.
        """
        with self._lock:
            self._append()
            if self._journal is not None and (self._journal.rows >= self._rows or self._due()):
                self._finish()

    def close(self) -> None:
        """Write what waits into a file.

        Raises:
            OSError: If the disk does not take it; what was flushed is still safe.
        """
        self._closing.set()
        self._keeper.join()
        with self._lock:
            try:
                self._append()
                self._finish()
            finally:
                if self._journal is not None:
                    self._journal.close()
                    self._journal = None

    def _append(self) -> None:
        if not self._waiting:
            return
        if self._journal is None:
            now = dt.datetime.now(dt.timezone.utc)
            name = f"{now:%Y%m%dT%H%M%S%f}-{os.getpid()}.parquet"
            self._journal = Journal(self._folder / name, self._columns.schema)
            self._due_s = time.monotonic() + self._seconds
        self._journal.append(self._columns.batch(self._waiting))
        self._waiting = []

    def _finish(self) -> None:
        if self._journal is not None:
            self._journal.finish()
            self._journal.close()
            self._journal = None

    def _due(self) -> bool:
        return time.monotonic() >= self._due_s

    def _keep_time(self) -> None:
        """Finish files in time where nothing comes any more."""
        while not self._closing.wait(min(1.0, self._seconds)):
            with self._lock, contextlib.suppress(OSError):  # tried again, and told by the next flush
                if self._journal is not None and self._due():
                    self._finish()
