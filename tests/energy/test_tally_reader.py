# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Pages of nodes, whoever wrote them: living, dead, damaged, and of other hosts."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowlat_nodes.energy import tally_reader
from lowlat_nodes.energy.figures import MAX_NODES
from lowlat_nodes.energy.tally import PAGE_BYTES, Tally
from lowlat_nodes.energy.tally_reader import Counts, TallyReader
from lowlat_nodes.stream.process_id import ProcessId

NODE = """
import os, signal, sys
from pathlib import Path
from lowlat_nodes.energy.tally import Tally
tally = Tally("/victim", "alert", Path(sys.argv[1]))
tally.begin()
tally.done(5)
print(flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def counting(folder: Path, code: str = NODE) -> Iterator[subprocess.Popen[bytes]]:
    """Run a node that has counted, until its input ends or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_what_nodes_count_is_read(tmp_path: Path) -> None:
    reader = TallyReader(tmp_path)
    reader.scan()
    assert reader.read() == []
    one, two = Tally("/one", "action", tmp_path), Tally("/two", folder=tmp_path)
    one.begin("a")
    one.done(3, "a")
    one.cpu(7, "b")
    reader.scan()
    by_node = {page.node: page for page in reader.read()}
    assert by_node["/one"].counts == {"a": Counts(1, 3, 0, 0), "b": Counts(0, 0, 7, 0)}
    assert by_node["/one"].unit == "action"
    assert by_node["/one"].processes == (ProcessId.of(os.getpid()),)
    assert not by_node["/one"].foreign
    assert by_node["/two"].counts == {}
    one.done(bucket="a")
    (page,) = [page for page in reader.read() if page.node == "/one"]
    assert page is by_node["/one"]
    assert page.counts["a"] == Counts(1, 4, 0, 0)
    one.close()
    two.close()
    reader.close()


def test_the_last_counts_of_a_closed_page_come_once(tmp_path: Path) -> None:
    reader = TallyReader(tmp_path)
    tally = Tally("/node", folder=tmp_path)
    reader.scan()
    tally.done(9)
    tally.close()
    (page,) = reader.read()
    assert page.ended
    assert page.counts == {"": Counts(0, 9, 0, 0)}
    reader.scan()
    assert reader.read() == []
    assert reader.counts.total == 0
    reader.close()


def test_the_last_counts_of_a_dead_node_come_once_and_its_page_is_removed(tmp_path: Path) -> None:
    reader = TallyReader(tmp_path)
    with counting(tmp_path) as node:
        reader.scan()
        (page,) = reader.read()
        assert not page.ended
        node.kill()
    (page,) = reader.read()
    assert page.ended
    assert page.counts == {"": Counts(1, 5, 0, 0)}
    assert list(tmp_path.iterdir()) == []
    assert reader.counts.snapshot() == {"reaped": 1}
    reader.scan()
    assert reader.read() == []
    reader.close()


def test_a_page_whose_node_died_before_anybody_looked(tmp_path: Path) -> None:
    with counting(tmp_path) as node:
        node.kill()
    reader = TallyReader(tmp_path)
    reader.scan()
    assert [page.ended for page in reader.read()] == [True]
    assert list(tmp_path.iterdir()) == []
    reader.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_page_of_somebody_elses_dead_node_stays_where_it_is(tmp_path: Path) -> None:
    with counting(tmp_path) as node:
        node.kill()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        path = next(tmp_path.glob("*.tally")).rename(folder / "theirs.tally")
        os.chown(path, 12345, -1)
        path.chmod(0o644)
        os.seteuid(23456)
        try:
            reader = TallyReader(folder)
            ended = []
            for _ in range(3):
                reader.scan()
                ended.append([page.ended for page in reader.read()])
            reader.close()
        finally:
            os.seteuid(0)
        assert ended == [[True], [], []]
        assert path.exists()


def test_a_removed_page_of_a_living_node_is_read_on(tmp_path: Path) -> None:
    reader = TallyReader(tmp_path)
    tally = Tally("/node", folder=tmp_path)
    reader.scan()
    next(tmp_path.glob("*.tally")).unlink()
    tally.done()
    (page,) = reader.read()
    assert (page.counts[""].finished, page.ended) == (1, False)
    tally.close()
    assert [page.ended for page in reader.read()] == [True]
    reader.close()


def test_a_child_that_outlives_its_parent_does_not_keep_its_page(tmp_path: Path) -> None:
    code = NODE.replace(
        "print(flush=True)", "if os.fork() == 0:\n    sys.stdin.read()\n    os._exit(0)\nprint(flush=True)"
    )
    reader = TallyReader(tmp_path)
    with counting(tmp_path, code) as node:
        reader.scan()
        node.kill()
        node.wait()
        ended = [False]
        while ended == [False]:  # until the child has run, and let go of it
            ended = [page.ended for page in reader.read()]
        assert ended == [True]
    reader.close()


def test_process_ids_of_another_namespace_mean_nothing_here(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    (path,) = tmp_path.glob("*.tally")
    with path.open("r+b") as file:
        file.seek(24)
        file.write(struct.pack("Q", 1))
    reader = TallyReader(tmp_path)
    reader.scan()
    (page,) = reader.read()
    assert page.foreign
    assert page.processes == ()
    assert not page.ended
    tally.close()
    reader.close()


def written(path: Path, data: bytes) -> None:
    """Replace a page in place, as its node would write it."""
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(data)


def good_page(folder: Path) -> tuple[Tally, Path, bytes]:
    tally = Tally("/node", folder=folder)
    tally.done(2, "a")
    (path,) = folder.glob("*.tally")
    return tally, path, path.read_bytes()


@pytest.mark.parametrize(
    ("at", "data", "why"),
    [
        (0, b"LLTALLY2", "another layout"),
        (8, struct.pack("Q", 2), "another layout"),
        (16, struct.pack("Q", 33), "impossible figures"),
        (16, struct.pack("Q", 1 << 63), "impossible figures"),
        (16, struct.pack("Q", 3), "a bucket twice"),
        (32, struct.pack("Q", (1 << 64) - 1), "impossible figures"),
        (560, b"\0", "a name that is none"),
        (560, b"\xff\xfe", "a name that is none"),
        (560, b"a\nb\0", "a name that is none"),
        (560, b"x" * 256, "a name that is none"),
        (560, b"\0" * 256, "no name"),
        (1024, struct.pack("Q", 1 << 63), "impossible figures"),
        (1056, b"\x80", "a name that is none"),
    ],
)
def test_what_no_node_wrote_is_refused_and_counted(tmp_path: Path, at: int, data: bytes, why: str) -> None:
    tally, path, page = good_page(tmp_path)
    tally.close()
    path.write_bytes(page[:at] + data + page[at + len(data) :])
    reader = TallyReader(tmp_path)
    for _ in range(3):
        reader.scan()
        assert reader.read() == []
    assert reader.counts.snapshot() == {why: 1}
    assert path.exists()
    reader.close()


def test_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.tally").mkdir()
    (tmp_path / "link.tally").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.tally")
    (tmp_path / "empty.tally").touch()
    (tmp_path / "large.tally").write_bytes(bytes(PAGE_BYTES + 1))
    reader = TallyReader(tmp_path)
    reader.scan()
    assert reader.read() == []
    assert reader.counts.snapshot() == {"no file": 2, "unreadable": 1, "wrong size": 2}
    reader.close()


def test_a_page_that_is_cut_short_or_overwritten_while_it_is_read(tmp_path: Path) -> None:
    tally, path, page = good_page(tmp_path)
    reader = TallyReader(tmp_path)
    reader.scan()
    assert len(reader.read()) == 1
    written(path, page[:100])
    assert reader.read() == []
    written(path, page)
    reader.scan()
    assert reader.read() == []  # once is enough
    assert reader.counts.snapshot() == {"wrong size": 1}
    tally.close()
    reader.close()


def test_names_of_buckets_that_are_known_are_not_read_again(tmp_path: Path) -> None:
    tally, path, page = good_page(tmp_path)
    reader = TallyReader(tmp_path)
    reader.scan()
    reader.read()
    written(path, page[:1056] + b"z" + page[1057:])
    (read,) = reader.read()
    assert list(read.counts) == ["a"]
    tally.close()
    reader.close()


def test_more_nodes_than_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_reader, "MAX_NODES", 20)  # each takes descriptors here, which are few for users
    with contextlib.ExitStack() as stack:
        tallies = [Tally(f"/node{index}", folder=tmp_path) for index in range(22)]
        for tally in tallies:
            stack.callback(tally.close)
        reader = TallyReader(tmp_path)
        stack.callback(reader.close)
        reader.scan()
        first = {page.node for page in reader.read()}
        assert len(first) == 20
        assert reader.counts.snapshot() == {f"more than {MAX_NODES} pages": 2}
        for number, tally in enumerate(tallies):
            if number and f"/node{number}" in first:
                tally.close()
        reader.read()
        reader.scan()
        left = {page.node for page in reader.read()}
        assert len(left) >= 2  # those that found no room have it now


def test_what_a_node_left_that_died_at_its_start_is_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "1-a.new", tmp_path / "1-b.new"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 60, time.time() - 60))
    reader = TallyReader(tmp_path)
    reader.scan()
    assert [path.name for path in tmp_path.iterdir()] == ["1-b.new"]
    reader.close()


def test_a_folder_that_goes_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "energy"
    folder.mkdir()
    reader = TallyReader(folder)
    reader.scan()
    folder.rmdir()
    reader.scan()
    assert reader.read() == []
    assert reader.counts.snapshot() == {"folder": 1}


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_in_a_page_harms_nobody(tmp_path: Path, data: st.DataObject) -> None:
    tally, path, page = good_page(tmp_path)
    tally.close()
    garbage = bytearray(page)
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, PAGE_BYTES - 1) | st.integers(0, 128) | st.integers(1024, 1130))
        piece = data.draw(st.binary(min_size=1, max_size=16))
        garbage[at : at + len(piece)] = piece
    garbage = garbage[: data.draw(st.sampled_from([PAGE_BYTES, PAGE_BYTES, PAGE_BYTES - 1, 0]))]
    path.write_bytes(garbage)
    reader = TallyReader(tmp_path)
    reader.scan()
    pages = reader.read()
    assert len(pages) + (reader.counts.total - reader.counts["reaped"]) == 1
    for found in pages:
        assert len(found.counts) <= 32
        assert found.node.isprintable()
        assert all(0 <= process.pid < 1 << 31 for process in found.processes)
    reader.close()
    path.unlink(missing_ok=True)
