# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lowlat_nodes.inference.turns import page as page_module
from lowlat_nodes.inference.turns.folder import VARIABLE, turn_folder
from lowlat_nodes.inference.turns.page import (
    EARLIEST_WORD,
    NEVER,
    PAGE_BYTES,
    SLOTS,
    Field,
    Page,
    State,
    remove_abandoned,
)
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.process_id import ProcessId


def test_the_page_is_laid_out_as_documented(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/first")), closing(Page(folder, "cpu0", "/second")) as page:
        data = (folder / "cpu0.turns").read_bytes()
        assert len(data) == PAGE_BYTES
        assert data[:8] == b"LLTURNS1"
        words = memoryview(data).cast("Q")
        assert words[1:5].tolist() == [1, NEVER, 0, 0]
        assert page.slot == 1
        assert words[Field.STATE : Field.STATE + 3].tolist() == [State.IDLE, State.IDLE, State.FREE]
        assert ProcessId(words[Field.PID + 1], words[Field.START + 1]) == ProcessId.of(os.getpid())
        assert data[8 * (1088 + 12) : 8 * (1088 + 24)] == b"/second".ljust(96, b"\0")
        assert (folder / "cpu0.turns").stat().st_mode & 0o777 == 0o600


def test_clients_see_one_another(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/first")) as first:
        with closing(Page(folder, "cpu0", "/second")) as second:
            assert [client.name for client in first.clients()] == ["/first", "/second"]
            assert [client.pid for client in second.clients()] == [os.getpid()] * 2
        assert [client.name for client in first.clients()] == ["/first"]
        with closing(Page(folder, "cpu0", "/third")) as third:
            assert third.slot == 1


def test_the_last_one_removes_the_page(folder: Path) -> None:
    first, second = Page(folder, "cpu0", "/first"), Page(folder, "cpu0", "/second")
    first.close()
    assert (folder / "cpu0.turns").exists()
    second.close()
    assert list(folder.iterdir()) == []


def test_of_two_who_leave_at_once_one_removes_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Page(folder, "gpu", "/a"), Page(folder, "gpu", "/b")
    disown = Page.disown

    def disown_late(page: Page) -> None:
        if page is first:  # the second one leaves while the first has not let go of the file
            second.close()
        disown(page)

    monkeypatch.setattr(Page, "disown", disown_late)
    first.close()
    assert list(folder.iterdir()) == []


def test_devices_have_pages_of_their_own(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/node")) as one, closing(Page(folder, "cuda:0", "/node")) as other:
        assert one.take_device()
        assert other.take_device()
    assert list(folder.iterdir()) == []


def test_one_device_is_had_by_one(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/first")) as first, closing(Page(folder, "cpu0", "/second")) as second:
        assert first.take_device()
        assert second.device_taken()
        assert not first.device_taken()
        assert not second.take_device()
        first.leave_device()
        assert second.take_device()


def test_a_page_decides_for_one_at_a_time_and_gives_up_in_time(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/first")) as first, closing(Page(folder, "cpu0", "/second")) as second:
        assert first.lock()
        assert not second.lock(time.monotonic_ns() + 10_000_000)
        first.unlock()
        assert second.lock()
        second.unlock()


def test_more_clients_than_slots_are_refused(folder: Path) -> None:
    with ExitStack() as stack:
        for index in range(SLOTS):
            stack.enter_context(closing(Page(folder, "cpu0", f"/node{index}")))
        with pytest.raises(ConfigurationError, match="at most 64 nodes at one device, and /more is one more"):
            Page(folder, "cpu0", "/more")
        assert len(list(Path("/proc/self/fd").iterdir())) < 3 * SLOTS


@pytest.mark.parametrize(
    "found", [b"", b"short", bytes(PAGE_BYTES), random.Random(1).randbytes(PAGE_BYTES), bytes(3 * PAGE_BYTES)]
)
def test_what_is_no_page_is_written_anew(folder: Path, found: bytes) -> None:
    path = folder / "cpu0.turns"
    path.write_bytes(found)
    path.chmod(0o600)
    with closing(Page(folder, "cpu0", "/node")) as page:
        assert path.stat().st_size == PAGE_BYTES
        assert page.words[EARLIEST_WORD] == NEVER
        assert [client.name for client in page.clients()] == ["/node"]


def test_garbage_in_slots_is_read_within_bounds(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/node")) as page, closing(Page(folder, "cpu0", "/other")):
        rng = random.Random(2)
        for _ in range(20):
            page._bytes[8 * 64 :] = rng.randbytes(PAGE_BYTES - 8 * 64)
            page.words[Field.DEADLINE] = (1 << 64) - 1
            for client in page.clients():
                assert client.state in range(5)
                assert client.name.isprintable()
                assert 0 < client.deadline_ns <= NEVER


def test_a_dead_client_leaves_its_slot(folder: Path) -> None:
    child = os.fork()
    if child == 0:
        Page(folder, "cpu0", "/victim")
        os._exit(0)
    os.waitpid(child, 0)
    with closing(Page(folder, "cpu0", "/heir")) as heir:
        assert heir.slot == 0
        assert [client.name for client in heir.clients()] == ["/heir"]


def test_pages_whose_clients_have_been_killed_are_removed(folder: Path) -> None:
    child = os.fork()
    if child == 0:
        Page(folder, "cpu1", "/victim")
        os._exit(0)
    os.waitpid(child, 0)
    (folder / "notes.txt").touch()
    with closing(Page(folder, "cpu0", "/node")), closing(Page(folder, "cpu2", "/other")) as other:
        other.lock()
        remove_abandoned(folder)
        assert {path.name for path in folder.iterdir()} == {"cpu0.turns", "cpu2.turns", "notes.txt"}
        other.unlock()


def test_long_and_unprintable_names_are_cut_between_characters(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/\n" + "é" * 200)) as page:
        assert page.client(0).name == "/?" + "é" * 46


def test_a_page_that_was_removed_is_missed(folder: Path) -> None:
    with closing(Page(folder, "cpu0", "/node")) as page:
        assert not page.moved()
        (folder / "cpu0.turns").unlink()
        assert page.moved()
        with closing(Page(folder, "cpu0", "/new")) as new:
            assert page.moved()
            assert not new.moved()
    assert list(folder.iterdir()) == []


def test_a_page_that_others_may_write_is_refused(folder: Path) -> None:
    path = folder / "cpu0.turns"
    path.touch(0o600)
    path.chmod(0o620)
    with pytest.raises(ConfigurationError, match=r"this user \(uid \d+\) alone.*mode 0620.*or remove it"):
        Page(folder, "cpu0", "/node")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_page_of_another_user_is_refused(folder: Path) -> None:
    path = folder / "cpu0.turns"
    path.touch(0o600)
    os.chown(path, 52001, 52001)
    with pytest.raises(ConfigurationError, match="it belongs to uid 52001"):
        Page(folder, "cpu0", "/node")


def test_a_link_and_a_pipe_are_refused(folder: Path) -> None:
    (folder / "link.turns").symlink_to(folder / "elsewhere")
    with pytest.raises(ConfigurationError, match="cannot open"):
        Page(folder, "link", "/node")
    assert not (folder / "elsewhere").exists()
    os.mkfifo(folder / "pipe.turns", 0o600)
    with pytest.raises(ConfigurationError, match="expected a file"):
        Page(folder, "pipe", "/node")


def test_a_page_that_somebody_keeps_locked_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "_PATIENCE_S", 0.01)
    with closing(Page(folder, "cpu0", "/hangs")) as page:
        page.lock()
        with pytest.raises(ConfigurationError, match=r"some process has locked it for 0.01 s"):
            Page(folder, "cpu0", "/node")
        page.unlock()


def test_the_folder_of_the_environment_is_made_for_this_user_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(folder / "turns"))
    assert turn_folder() == folder / "turns"
    assert (folder / "turns").stat().st_mode & 0o777 == 0o700
    (folder / "turns").chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"turn: .*everybody may write this folder.*chmod o-w"):
        turn_folder()
