# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What waits for a slow disk is bounded, and a disk that fails says so."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.nodes.bag.disk import Disk
from lowlat_nodes.transport.bag import BagReader, BagWriter, DiskError, Recorded

STRING = "std_msgs/msg/String"
PATIENCE_S = 60.0


def message(stamp_ns: int, size: int = 100) -> Recorded:
    return Recorded("/a", STRING, stamp_ns, bytes(size), stamp_ns)


class Standing(BagWriter):
    """A disk that stands still until it is told to go on, or fails."""

    def __init__(self, path: Path, error: str = "") -> None:
        super().__init__(path)
        self.go = threading.Event()
        self.reached = threading.Event()
        self._error = error

    def write(self, *recorded: Any) -> None:
        self.reached.set()
        assert self.go.wait(PATIENCE_S)
        if self._error:
            raise DiskError(self._error)
        super().write(*recorded)


def put_until_refused(disk: Disk) -> None:
    with disk:
        while disk.put(message(1)):
            time.sleep(0.001)


def test_what_finds_no_room_is_refused_and_the_rest_is_written(tmp_path: Path) -> None:
    with Standing(tmp_path / "bag.mcap") as writer:
        with Disk(writer, 250) as disk:
            taken = [disk.put(message(stamp_ns)) for stamp_ns in range(5)]
            assert writer.reached.wait(PATIENCE_S)
            writer.go.set()
        assert taken == [True, True, False, False, False]
    with BagReader(tmp_path / "bag.mcap") as bag:
        assert [recorded.stamp_ns for recorded in bag.messages()] == [0, 1]


def test_a_message_larger_than_the_room_is_written_all_the_same(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag.mcap") as writer:
        with Disk(writer, 10) as disk:
            assert disk.put(message(1, 1000))
        assert writer.counts == {"/a": 1}


def test_a_disk_that_fails_takes_nothing_more_and_says_why(tmp_path: Path) -> None:
    with Standing(tmp_path / "bag.mcap", "no space left") as writer:
        writer.go.set()
        with pytest.raises(DiskError, match="no space left"):
            put_until_refused(Disk(writer))
