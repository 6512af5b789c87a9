# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Dead letters in a folder: whole, with the reason, and no more than asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lowlat_nodes.stream.delivery import DEAD_LETTERS
from lowlat_nodes.stream.endpoint import DurableSink
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.dead_letter_files import DeadLetterFiles


def letter(data: bytes, received_ns: int = 1_000) -> Message:
    packet = Packet(memoryview(data), b"\x00key", "ztf[0]@7")
    return Message(DEAD_LETTERS, DeadLetter(packet, "unknown schema 7: ö"), Trace(received_ns=received_ns))


def kept(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.packet"))]


def test_a_packet_is_kept_whole_with_its_reason(tmp_path: Path) -> None:
    sink = DeadLetterFiles(tmp_path / "new" / "folder")
    assert isinstance(sink, DurableSink)
    sink.write(letter(b"packet"))
    sink.flush(1.0)
    sink.close()
    assert kept(tmp_path / "new" / "folder") == [b"packet"]
    (file,) = (tmp_path / "new" / "folder").glob("*.json")
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "reason": "unknown schema 7: ö",
        "origin": "ztf[0]@7",
        "received_ns": 1_000,
        "key": "006b6579",
    }


def test_the_oldest_go_those_of_an_earlier_run_too(tmp_path: Path) -> None:
    first = DeadLetterFiles(tmp_path, most=3)
    for number in range(5):
        first.write(letter(b"%d" % number, 1_000))  # packets of one batch come at one time
    assert kept(tmp_path) == [b"2", b"3", b"4"]
    second = DeadLetterFiles(tmp_path, most=3)
    second.write(letter(b"5", 2_000))
    assert kept(tmp_path) == [b"3", b"4", b"5"]
    assert len(list(tmp_path.iterdir())) == 6


def test_a_flush_is_over_when_all_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    full = True

    def fsync(file: int) -> None:
        if full:
            raise OSError("disk full")
        synced.append(Path(f"/proc/self/fd/{file}").readlink().name)

    monkeypatch.setattr(os, "fsync", fsync)
    sink = DeadLetterFiles(tmp_path, most=1)
    sink.write(letter(b"gone before it is safe"))
    sink.write(letter(b"packet"))
    with pytest.raises(OSError, match="disk full"):
        sink.flush(1.0)
    full = False
    sink.flush(1.0)
    assert sorted(synced) == sorted([*(path.name for path in tmp_path.iterdir()), tmp_path.name])
    sink.flush(1.0)
    assert len(synced) == 3


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write to"):
        DeadLetterFiles(tmp_path / "file")
