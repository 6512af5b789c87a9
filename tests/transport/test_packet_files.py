# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Files give their packets in order, whatever is wrong with some of them, and a second run goes on."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.alerts.container import read_header, split
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import packet_files
from lowlat_nodes.transport.packet_files import PacketFiles

CONTAINER = b"Obj\x01"


def by_commas(data: bytes) -> Iterator[bytes]:
    """Split what tests take for a container; a `!` cannot be read."""
    for part in data.removeprefix(CONTAINER).split(b","):
        if part == b"!":
            raise LowlatError("that is broken")
        yield part


def reading(*paths: Path | str, **options: Any) -> closing[PacketFiles]:
    return closing(
        PacketFiles([str(path) for path in paths], ManualClock(7), **{"split": by_commas} | options)
    )


def rest(source: PacketFiles) -> list[bytes]:
    """Return all that is left."""
    found: list[bytes] = []
    while not source.exhausted:
        found += [bytes(message.payload.data) for message in source.poll(2, 0.0)]
    return found


def archive(path: Path, members: dict[str, bytes], mode: Any = "w:gz") -> Path:
    with tarfile.open(path, mode) as opened:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder of three packets in two files, and what is none."""
    folder = tmp_path / "night"
    (folder / "20260101").mkdir(parents=True)
    (folder / "20260101" / "2.avro").write_bytes(b"wire")
    (folder / "20260101" / "1.avro").write_bytes(CONTAINER + b"a,b")
    (folder / "20260101" / ".3.avro").write_bytes(b"hidden")
    (folder / "README.txt").write_bytes(b"not a packet")
    return folder


def test_a_folder_gives_its_files_in_order(night: Path) -> None:
    with reading(night) as source:
        messages = source.poll(10, 0.0)
        first = night / "20260101" / "1.avro"
        assert [message.payload.data for message in messages] == [b"a", b"b", b"wire"]
        assert [message.payload.origin for message in messages[:2]] == [f"{first}#0", f"{first}#1"]
        assert (messages[0].topic, messages[2].sequence) == ("packets", 2)
        assert messages[0].trace == Trace(received_ns=7)
        assert source.exhausted
        assert source.poll(10, 0.0) == []
        assert source.lag is None


def test_files_and_patterns_are_taken_as_they_are_named(night: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"other")
    with reading(other, night / "*" / "*.avro") as source:
        assert rest(source) == [b"other", b"a", b"b", b"wire"]


def test_without_a_splitter_a_container_is_a_packet(night: Path) -> None:
    with reading(night, split=None) as source:
        assert rest(source) == [CONTAINER + b"a,b", b"wire"]


def test_nothing_is_taken_where_nothing_is_asked_for(night: Path) -> None:
    with reading(night) as source:
        assert source.poll(0, 0.0) == []
        assert not source.exhausted
        assert rest(source) == [b"a", b"b", b"wire"]


def test_what_breaks_off_comes_whole_at_the_end(tmp_path: Path) -> None:
    broken = tmp_path / "broken.avro"
    broken.write_bytes(CONTAINER + b"a,!,b")
    with reading(broken) as source:
        assert rest(source) == [b"a", CONTAINER + b"a,!,b"]
        assert source.last_failure == f"{broken}: that is broken"


@pytest.mark.parametrize(("name", "mode"), [("n.tar", "w"), ("n.tar.gz", "w:gz"), ("n.tgz", "w:gz")])
def test_archives_give_their_members(tmp_path: Path, name: str, mode: str) -> None:
    members = {"b/2.avro": b"two", "notes.txt": b"no", "a/1.avro": CONTAINER + b"x,y"}
    path = archive(tmp_path / name, members, mode)
    with reading(tmp_path) as source:
        messages = source.poll(10, 0.0)
        assert [message.payload.data for message in messages] == [b"two", b"x", b"y"]
        assert messages[2].payload.origin == f"{path}#2"


def test_a_cut_archive_gives_what_it_has(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 100
    path = archive(tmp_path / "night.tar", {"1.avro": b"one", "2.avro": noise}, "w")
    path.write_bytes(path.read_bytes()[:5_000])
    (tmp_path / "other.avro").write_bytes(b"other")
    with reading(path, tmp_path / "other.avro") as source:
        assert rest(source) == [b"one", b"other"]
        assert source.drops.snapshot() == {"unreadable": 1}
        assert str(path) in source.last_failure


def test_an_archive_that_breaks_off_in_its_first_bytes_does_not_end_the_others(tmp_path: Path) -> None:
    whole = archive(tmp_path / "b.tgz", {"0.avro": b"0"})
    (tmp_path / "a.tgz").write_bytes(whole.read_bytes()[:3])
    with reading(tmp_path) as source:
        assert rest(source) == [b"0"]
        assert source.drops.snapshot() == {"unreadable": 1}
        assert "a.tgz" in source.last_failure


def test_what_is_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_files, "MAX_BYTES", 4)
    (tmp_path / "1.avro").write_bytes(b"large")
    (tmp_path / "2.avro").write_bytes(b"fits")
    archive(tmp_path / "3.tar", {"1.avro": b"large", "2.avro": b"fits"}, "w")
    with reading(tmp_path) as source:
        assert rest(source) == [b"fits", b"fits"]
        assert source.drops.snapshot() == {"too_large": 2}


def test_a_file_that_goes_away_is_counted(night: Path) -> None:
    with reading(night) as source:
        source.poll(1, 0.0)
        (night / "20260101" / "2.avro").unlink()
        assert rest(source) == [b"b"]
        assert source.drops.snapshot() == {"unreadable": 1}


def test_a_second_run_goes_on_where_the_first_has_committed(night: Path, tmp_path: Path) -> None:
    progress = tmp_path / "progress.json"
    with reading(night, progress=progress) as source:
        source.commit()
        assert not progress.exists()
        source.poll(1, 0.0)
        source.commit()
        source.poll(1, 0.0)
    with reading(night, progress=progress) as source:
        assert rest(source) == [b"b", b"wire"]
        source.commit()
    with reading(night, progress=progress) as source:
        assert rest(source) == []
        source.commit()
    (night / "20260102.avro").write_bytes(b"next night")
    with reading(night, progress=progress) as source:
        assert rest(source) == [b"next night"]


def test_a_progress_that_is_none_is_refused(night: Path, tmp_path: Path) -> None:
    progress = tmp_path / "progress.json"
    for text in ("{", "[]", '{"file": 1, "packets": 2}', '{"file": "x", "packets": -1}'):
        progress.write_text(text)
        with pytest.raises(ConfigurationError, match="expected the progress"):
            reading(night, progress=progress)
    with pytest.raises(ConfigurationError, match="expected the progress"):
        reading(night, progress=progress / "in a file")
    progress.write_text('{"file": "elsewhere.avro", "packets": 2}')
    with pytest.raises(ConfigurationError, match="elsewhere"):
        reading(night, progress=progress)


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    for paths in ((), (tmp_path / "none.avro",), (tmp_path / "*.avro",), (tmp_path,)):
        with pytest.raises(ConfigurationError, match="expected"):
            reading(*paths)


def test_real_alerts_come_one_by_one(data_dir: Path) -> None:
    folder = data_dir / "alerts"
    with reading(folder / "ztf" / "fink_multi.avro", folder / "lsst", split=split) as source:
        messages = source.poll(100, 0.0)
        assert source.exhausted
    containers = [message for message in messages if message.payload.data.startswith(CONTAINER)]
    assert (len(messages), len(containers)) == (11 + 1 + 7, 11 + 7)
    assert {len(list(split(message.payload.data))) for message in containers} == {1}
    assert read_header(containers[0].payload.data).codec == "null"
