# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts by name survive threads and are handed out as copies."""

from __future__ import annotations

import threading

from lowlat_nodes.stream.counters import Counters


def test_counts_keep_the_order_of_first_use() -> None:
    counters = Counters()
    counters.add("late")
    counters.add("early", 3)
    counters.add("late")
    assert list(counters.snapshot().items()) == [("late", 2), ("early", 3)]
    assert counters["late"] == 2
    assert counters["never"] == 0
    assert counters.total == 5


def test_a_snapshot_does_not_change() -> None:
    counters = Counters()
    before = counters.snapshot()
    counters.add("late")
    assert before == {}
    assert "asked" not in counters.snapshot()


def test_counts_can_begin_anew() -> None:
    counters = Counters()
    counters.add("late", 3)
    counters.clear()
    assert counters.snapshot() == {}
    counters.add("late")
    assert counters["late"] == 1


def test_no_count_is_lost_between_threads() -> None:
    counters = Counters()

    def count(name: str) -> None:
        for _ in range(2000):
            counters.add("shared")
            counters.add(name)

    threads = [threading.Thread(target=count, args=(f"own {index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters["shared"] == 8000
    assert counters.total == 16_000
