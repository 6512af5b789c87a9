# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One sqlite3 file (`.db3`), read through `rosbags`."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from lowlat_nodes.transport.bag.errors import BagError
from lowlat_nodes.transport.bag.record import CDR, Recorded, Topic


class SqliteFile:
    """Reads one sqlite3 bag file.

    Args:
        path: The file. What a recorder that was killed left in a write-ahead log beside it is read too.

    Raises:
        BagError: If it is no such file, or none of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.topics: list[Topic] = []
        self.counts: dict[str, int] = {}
        self.damage: list[str] = []
        try:
            # Whatever a damaged database makes rosbags and SQLite raise, it means the same.
            self._reader = self._opened(path)
        except Exception as error:
            raise BagError(f"{path}: expected a sqlite3 bag file: {error}") from error
        for connection in self._reader.connections:
            self.topics.append(_topic(connection))
            self.counts[connection.topic] = self.counts.get(connection.topic, 0) + connection.msgcount
        self.start_ns = self._reader.start_time if self._reader.message_count else 0

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Recorded]:
        """Yield the messages of these topics (None: of all) in the order of their stamps."""
        chosen = [item for item in self._reader.connections if topics is None or item.topic in topics]
        if not chosen:
            return
        found: Iterator[tuple[Connection, object, object]] = self._reader.messages(chosen)
        try:
            for connection, stamp_ns, data in found:  # SQLite keeps any type in any column
                if isinstance(data, bytes) and isinstance(stamp_ns, int) and stamp_ns >= 0:
                    yield Recorded(connection.topic, connection.msgtype, stamp_ns, data, stamp_ns)
                else:
                    self._note(f"{connection.topic}: a row is no message; it is left out")
        except Exception as error:  # as above; what was read up to here is as it was
            self._note(f"it is damaged: {error}; what follows is lost")

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    def _opened(self, path: Path) -> Reader:
        """Open the database with its write-ahead log in it: as a copy where there is one."""
        log = path.with_name(path.name + "-wal")
        if not log.is_file() or not log.stat().st_size:
            reader = Reader(path)
            reader.open()
            return reader
        self._note("its recorder did not stop properly; its write-ahead log was read too")
        # Linux keeps the copy until it is closed, whatever becomes of its name.
        with tempfile.TemporaryDirectory(prefix="lowlat_bag_") as folder:
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(log, copy.with_name(log.name))
            with closing(sqlite3.connect(copy)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return self._opened(copy)

    def _note(self, damage: str) -> None:
        if damage not in self.damage:
            self.damage.append(damage)


def _topic(connection: Connection) -> Topic:
    extra = connection.ext
    if not isinstance(extra, ConnectionExtRosbag2):
        return Topic(connection.topic, connection.msgtype, (), connection.digest, CDR)
    offered = tuple(extra.offered_qos_profiles)
    return Topic(connection.topic, connection.msgtype, offered, connection.digest, extra.serialization_format)
