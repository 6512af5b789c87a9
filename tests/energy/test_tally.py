# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lowlat_nodes.energy.tally import PAGE_BYTES, Tally
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.process_id import ProcessId


def page(folder: Path) -> bytes:
    (path,) = folder.glob("*.tally")
    return path.read_bytes()


def buckets(data: bytes) -> dict[str, tuple[int, ...]]:
    """Return started, finished, CPU ns and GPU ns of each bucket, as the docstring has the layout."""
    (count,) = struct.unpack_from("Q", data, 16)
    found = {}
    for at in range(1024, 1024 + 96 * count, 96):
        found[data[at + 32 : at + 96].rstrip(b"\0").decode()] = struct.unpack_from("4Q", data, at)
    return found


def test_the_page_is_laid_out_as_documented(tmp_path: Path) -> None:
    tally = Tally("/arm/policy", "action", tmp_path)
    tally.begin()
    tally.begin("640x640")
    tally.done(3, "640x640")
    tally.cpu(1000)
    tally.gpu(2000, "640x640")
    data = page(tmp_path)
    assert len(data) == PAGE_BYTES
    assert data[:8] == b"LLTALLY1"
    own = ProcessId.of(os.getpid())
    assert own is not None
    assert struct.unpack_from("Q", data, 8) == (1,)
    assert struct.unpack_from("QQQ", data, 24)[::2] == (Path("/proc/self/ns/pid").stat().st_ino, 0)
    assert struct.unpack_from("4Q", data, 48) == (own.pid, own.start, 0, 0)
    assert data[560:816].rstrip(b"\0") == b"/arm/policy"
    assert data[816:1024].rstrip(b"\0") == b"action"
    assert buckets(data) == {"": (1, 0, 1000, 0), "640x640": (1, 3, 0, 2000)}
    tally.close()


def test_closing_removes_the_page_and_what_comes_later_goes_nowhere(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    with next(tmp_path.glob("*.tally")).open("rb") as still_open:
        tally.done(2)
        tally.close()
        tally.close()
        assert list(tmp_path.iterdir()) == []
        tally.begin()
        tally.begin("new")
        tally.done()
        tally.cpu(5)
        tally.add_process(os.getppid())
        data = still_open.read()
    assert struct.unpack_from("Q", data, 40) == (1,)
    assert buckets(data) == {"": (0, 2, 0, 0)}


def test_buckets_beyond_the_bound_are_counted_as_other(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    for index in range(100):
        tally.begin(f"{index}")
        tally.done(bucket=f"{index}")
    found = buckets(page(tmp_path))
    assert len(found) == 32
    assert found["30"] == (1, 1, 0, 0)
    assert found["other"] == (69, 69, 0, 0)
    tally.close()


def test_other_may_be_a_bucket_of_its_own(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    tally.done(bucket="other")
    for index in range(100):
        tally.done(bucket=f"{index}")
    assert buckets(page(tmp_path))["other"] == (0, 71, 0, 0)
    tally.close()


def test_long_and_unprintable_names_are_cut_between_characters(tmp_path: Path) -> None:
    tally = Tally("/\n" + "é" * 200, "µ" * 40, tmp_path)
    for _ in range(2):
        tally.done(bucket="é" * 40)
        tally.done(bucket="a\0b\ud800")
    data = page(tmp_path)
    assert data[560:816].rstrip(b"\0").decode() == "/?" + "é" * 126
    assert data[816:880].rstrip(b"\0").decode() == "µ" * 31
    assert buckets(data) == {"é" * 31: (0, 2, 0, 0), "a?b?": (0, 2, 0, 0)}
    tally.close()


def test_nothing_is_lost_between_threads(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)

    def work(name: str) -> None:
        for _ in range(5000):
            tally.begin(name)
            tally.done(bucket="all")

    threads = [threading.Thread(target=work, args=(f"{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = buckets(page(tmp_path))
    assert found.pop("all") == (0, 20000, 0, 0)
    assert set(found.values()) == {(5000, 0, 0, 0)}
    tally.close()


def test_what_is_not_above_nothing_is_not_counted(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    tally.done(0)
    tally.done(-1)
    tally.cpu(-5)
    tally.gpu(0)
    assert buckets(page(tmp_path)) == {}
    tally.close()


def test_a_forked_child_counts_nothing_and_does_not_close_its_parents_page(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    tally.done()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            tally.begin()
            tally.done()
            tally.close()
            own = Tally("/child", folder=tmp_path)
            own.done(7)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    pages = [path.read_bytes() for path in tmp_path.glob("*.tally")]
    assert sorted(buckets(data)[""] for data in pages) == [(0, 1, 0, 0), (0, 7, 0, 0)]
    tally.close()


def test_processes_of_the_node(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = ProcessId.of(child.pid)
        assert process is not None
        assert tally.add_process(child.pid)
        assert tally.add_process(child.pid)
        assert struct.unpack_from("6Q", page(tmp_path), 48)[2:] == (child.pid, process.start, 0, 0)
        tally.remove_process(child.pid)
        tally.remove_process(child.pid)
        assert struct.unpack_from("6Q", page(tmp_path), 48)[2::2] == (0, 0)
        child.communicate(b"\n")
    assert not tally.add_process(child.pid)
    assert ProcessId.of(child.pid) is None
    tally.close()


def test_so_many_processes_and_no_more(tmp_path: Path) -> None:
    tally = Tally("/node", folder=tmp_path)
    children = [subprocess.Popen(["sleep", "1000"]) for _ in range(32)]
    try:
        assert [tally.add_process(child.pid) for child in children] == [True] * 31 + [False]
        tally.remove_process(children[3].pid)
        assert tally.add_process(children[31].pid)
    finally:
        for child in children:
            child.kill()
            child.wait()
    tally.close()


def test_no_room_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="cannot have the folder"):
        Tally("/node", folder=Path("/proc/nowhere"))


def test_a_name_in_brackets_does_not_move_the_start_time(tmp_path: Path) -> None:
    program = "import ctypes; ctypes.CDLL(None).prctl(15, b') S 1 2 (x'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        before = ProcessId.of(child.pid)
        assert child.stdout is not None
        child.stdout.readline()
        assert b") S 1 2 (x" in Path(f"/proc/{child.pid}/stat").read_bytes()
        assert ProcessId.of(child.pid) == before
        child.communicate(b"\n")
