# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import mmap
import os
import threading
import time

import pytest

from lowlat_nodes.inference.turns.futex import Futex
from lowlat_nodes.stream.errors import ConfigurationError

LONG_NS = 60 * 10**9


@pytest.fixture
def memory() -> mmap.mmap:
    return mmap.mmap(-1, 4096)


def test_a_change_wakes_another_process(memory: mmap.mmap) -> None:
    here, there = Futex(memory, 0), Futex(memory, 8)
    child = os.fork()
    if child == 0:
        here.wait(0, LONG_NS)
        there.advance()
        os._exit(0)
    here.advance()
    while there.value == 0:
        there.wait(0, LONG_NS)
    assert os.waitpid(child, 0)[1] == 0


def test_a_change_before_the_wait_is_not_missed(memory: mmap.mmap) -> None:
    futex = Futex(memory, 12)
    before = futex.value
    futex.advance()
    futex.wait(before, LONG_NS)
    assert futex.value == before + 1


def test_a_wait_ends_in_time(memory: mmap.mmap) -> None:
    futex = Futex(memory, 0)
    began_ns = time.monotonic_ns()
    futex.wait(0, 20_000_000)
    assert time.monotonic_ns() - began_ns >= 20_000_000


def test_other_threads_run_during_a_wait(memory: mmap.mmap) -> None:
    futex = Futex(memory, 0)
    waiter = threading.Thread(target=futex.wait, args=(0, LONG_NS))
    waiter.start()
    while not futex.wake():
        time.sleep(0.001)
    waiter.join()


def test_the_word_begins_anew_after_the_last_number(memory: mmap.mmap) -> None:
    memory[:4] = b"\xff" * 4
    futex = Futex(memory, 0)
    futex.advance()
    assert futex.value == 0
    assert memory[4:8] == bytes(4)


def test_released_memory_can_be_closed(memory: mmap.mmap) -> None:
    futex = Futex(memory, 0)
    with pytest.raises(BufferError):
        memory.close()
    futex.release()
    memory.close()
    futex.advance()


def test_a_machine_without_it_says_what_to_do(memory: mmap.mmap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.raises(ConfigurationError, match=r"got pdp11 linux; leave turn.device empty"):
        Futex(memory, 0)
    memory.close()
