# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Clients in processes of their own, which are killed, stopped and lied to."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from turn_peers import earliest, page_of, peer, states, until, waiting

from lowlat_nodes.inference.turns.page import NEVER, PAGE_BYTES, State
from lowlat_nodes.inference.turns.shared import SharedTurn

MS = 1_000_000


def test_one_at_a_time_whatever_the_number(folder: Path) -> None:
    (folder / "mark").write_bytes(bytes(8))
    with ExitStack() as stack:
        peers = [
            stack.enter_context(peer(folder, f"/node{index}", deadline_ms=1000 * index)) for index in range(6)
        ]
        for each in peers:
            each.tell("loop", 150)
        assert [each.answer() for each in peers] == [0] * 6
        assert sum(each.do("figures")["turn.jobs"] for each in peers) == 6 * 152


def test_the_earliest_deadline_goes_first(folder: Path) -> None:
    with (
        peer(folder, "/holder") as holder,
        peer(folder, "/none") as none,
        peer(folder, "/late", deadline_ms=60_000) as late,
        peer(folder, "/soon", deadline_ms=10_000) as soon,
    ):
        holder.do("take")
        for count, each in enumerate([none, late, soon], 1):
            each.tell("take")
            waiting(folder, count)
        holder.do("give")
        order = []
        for each in (soon, late, none):
            order.append(each.answer())
            each.do("give")
        assert order == sorted(order)


def test_a_job_gives_way_between_segments_and_goes_on_later(folder: Path) -> None:
    with peer(folder, "/long") as long, peer(folder, "/short", deadline_ms=10_000) as short:
        long.do("take")
        long.do("between")
        short.tell("take")
        waiting(folder, 1)
        long.tell("between")
        got_ns = short.answer()
        given_ns = short.do("give")
        assert got_ns < given_ns <= long.answer()
        long.do("give")
        assert long.do("figures")["turn.yields"] == 1


def test_a_job_does_not_give_way_to_a_later_deadline(folder: Path) -> None:
    with peer(folder, "/short", deadline_ms=10_000) as short, peer(folder, "/long") as long:
        short.do("take")
        long.tell("take")
        waiting(folder, 1)
        went_on_ns = short.do("between")
        short.do("give")
        assert went_on_ns < long.answer()
        assert short.do("figures")["turn.yields"] == 0


def test_a_holder_that_is_killed_is_replaced(folder: Path) -> None:
    with peer(folder, "/victim") as victim, peer(folder, "/heir", deadline_ms=5000) as heir:
        victim.do("take")
        heir.tell("take")
        waiting(folder, 1)
        victim.process.kill()
        assert isinstance(heir.answer(), int)
        heir.do("give")
        until(lambda: states(folder) == [State.IDLE])
        assert heir.do("figures")["turn.shared_with"] == ""


def test_one_that_waits_and_is_killed_holds_up_nobody(folder: Path) -> None:
    with (
        peer(folder, "/holder") as holder,
        peer(folder, "/victim", deadline_ms=5000) as victim,
        peer(folder, "/heir", deadline_ms=50_000) as heir,
    ):
        holder.do("take")
        victim.tell("take")
        waiting(folder, 1)
        heir.tell("take")
        waiting(folder, 2)
        victim.process.kill()
        victim.process.wait()
        holder.do("give")
        assert isinstance(heir.answer(), int)


def test_one_that_is_killed_as_it_decides_holds_up_nobody(folder: Path) -> None:
    with peer(folder, "/victim") as victim, peer(folder, "/heir") as heir:
        victim.do("lock")
        heir.tell("take")
        time.sleep(0.05)
        victim.process.kill()
        assert isinstance(heir.answer(), int)


def test_a_holder_that_hangs_is_named_and_waited_for(folder: Path) -> None:
    turn = SharedTurn("cpu0", "/waits", folder=folder)
    with peer(folder, "/hangs") as hangs:
        hangs.do("take")
        os.kill(hangs.pid, signal.SIGSTOP)
        got = threading.Event()

        def wait() -> None:
            with turn.job():
                got.set()

        thread = threading.Thread(target=wait)
        thread.start()
        waiting(folder, 1)
        until(lambda: f"/hangs (process {hangs.pid}) for " in str(turn.figures()["turn.blocked_by"]))
        assert not got.wait(0.1)
        os.kill(hangs.pid, signal.SIGCONT)
        hangs.do("give")
        assert got.wait(60.0)
        thread.join()
        assert turn.figures()["turn.blocked_by"] == ""
    turn.close()


def test_a_wait_with_a_timeout_fails_and_the_next_one_may_succeed(folder: Path) -> None:
    with peer(folder, "/hangs") as hangs, peer(folder, "/waits", timeout_ms=50) as waits:
        hangs.do("take")
        said = waits.do("take")["timeout"]
        assert f"it is taken by /hangs (process {hangs.pid}) for " in said
        assert "turn.timeout_ms" in said
        assert states(folder) == [State.HOLDING, State.IDLE]
        hangs.do("give")
        assert isinstance(waits.do("take"), int)


def test_a_job_that_gave_way_and_does_not_get_the_device_back_fails(folder: Path) -> None:
    with (
        peer(folder, "/long", timeout_ms=50) as long,
        peer(folder, "/short", deadline_ms=10_000) as short,
    ):
        long.do("take")
        short.tell("take")
        waiting(folder, 1)
        assert "/short" in long.do("between")["timeout"]
        assert isinstance(short.answer(), int)
        long.do("give")
        short.do("give")
        assert isinstance(long.do("take"), int)


def test_one_that_hangs_as_it_decides_is_named(folder: Path) -> None:
    with peer(folder, "/hangs") as hangs, peer(folder, "/waits", timeout_ms=300) as waits:
        hangs.do("lock")
        assert "/hangs" in waits.do("take")["timeout"]


def test_one_that_does_not_come_is_passed_over_and_comes_later(folder: Path) -> None:
    with (
        peer(folder, "/holder") as holder,
        peer(folder, "/stopped", deadline_ms=5000) as stopped,
        peer(folder, "/other", deadline_ms=50_000) as other,
    ):
        holder.do("take")
        stopped.tell("take")
        waiting(folder, 1)
        other.tell("take")
        waiting(folder, 2)
        os.kill(stopped.pid, signal.SIGSTOP)
        holder.do("give")
        other.answer()
        other.do("between")  # nor does it hold up segments
        assert earliest(folder) == NEVER
        os.kill(stopped.pid, signal.SIGCONT)
        until(lambda: earliest(folder) < NEVER)
        other.tell("between")
        assert stopped.answer() <= stopped.do("give") <= other.answer()


def test_a_process_that_fails_in_a_job_leaves(folder: Path) -> None:
    with peer(folder, "/fails") as fails, peer(folder, "/heir") as heir:
        fails.do("take")
        heir.tell("take")
        waiting(folder, 1)
        fails.tell("fail")
        assert isinstance(heir.answer(), int)
        assert fails.process.wait() == 3
        heir.do("give")
        assert heir.end() == 0
    assert list(folder.iterdir()) == []


def test_a_child_that_outlives_its_parent_does_not_keep_the_device(folder: Path) -> None:
    with peer(folder, "/parent") as parent, peer(folder, "/heir") as heir:
        child = parent.do("fork")
        try:
            parent.do("take")
            heir.tell("take")
            waiting(folder, 1)
            parent.process.kill()
            assert isinstance(heir.answer(), int)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("seed", range(3))
def test_garbage_in_the_page_lets_nobody_wait_for_ever_nor_two_in(folder: Path, seed: int) -> None:
    (folder / "mark").write_bytes(bytes(8))
    rng = random.Random(seed)
    with ExitStack() as stack:
        peers = [
            stack.enter_context(peer(folder, f"/node{index}", deadline_ms=500 * index)) for index in range(3)
        ]
        for each in peers:
            each.tell("loop", 300)
        with page_of(folder).open("r+b", buffering=0) as page:
            for _ in range(60):
                at = rng.randrange(0, 8 * 512) if rng.random() < 0.9 else rng.randrange(PAGE_BYTES - 64)
                page.seek(at)
                page.write(rng.choice([bytes(64), b"\xff" * 64, rng.randbytes(64), b"\x04" + bytes(7)]))
                time.sleep(0.001)
        assert [each.answer() for each in peers] == [0] * 3
        with peer(folder, "/new") as new:
            assert isinstance(new.do("take"), int)
            assert new.do("figures")["turn.jobs"] == 2


def test_clients_of_a_page_that_was_removed_meet_again(folder: Path) -> None:
    with peer(folder, "/old") as old:
        page_of(folder).unlink()
        with peer(folder, "/new") as new:
            time.sleep(1.1)  # a client looks once a second
            old.do("take")
            new.tell("take")
            waiting(folder, 1)
            old.do("give")
            assert isinstance(new.answer(), int)
