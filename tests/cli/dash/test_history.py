# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import tracemalloc
from typing import Any

from lowlat_nodes.cli.dash.history import SERIES, History


def read(history: History) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(history.as_json())
    return found


def test_points_come_oldest_first_and_the_oldest_go() -> None:
    history = History(points=3)
    assert read(history) == {"at": [], "nodes": {}}
    for second in range(5):
        history.tick(100.0 + second, {"/a": {"rate_out_hz": float(second)}})
    found = read(history)
    assert found["at"] == [102.0, 103.0, 104.0]
    assert list(found["nodes"]["/a"]) == list(SERIES)
    assert found["nodes"]["/a"]["rate_out_hz"] == [2.0, 3.0, 4.0]
    assert found["nodes"]["/a"]["watts"] == [None, None, None]


def test_what_was_not_heard_is_unknown_and_forgotten_when_no_point_is_left() -> None:
    history = History(points=3)
    history.tick(0.0, {"/a": {"rate_out_hz": 1.0}})
    history.tick(1.0, {"/b": {"rate_out_hz": 2.0}})
    found = read(history)
    assert found["nodes"]["/a"]["rate_out_hz"] == [1.0, None]
    assert found["nodes"]["/b"]["rate_out_hz"] == [None, 2.0]
    history.tick(2.0, {"/b": {"rate_out_hz": 3.0}})
    history.tick(3.0, {"/b": {"rate_out_hz": float("nan")}})
    assert read(history)["nodes"] == {
        "/b": {**dict.fromkeys(SERIES, [None] * 3), "rate_out_hz": [2.0, 3.0, None]}
    }


def test_drops_are_those_of_each_second_also_after_a_restart() -> None:
    history = History(points=9)
    for total in (100, 100, 103, None, 110, 4):
        history.tick(0.0, {"/a": {"dropped": total}})
    assert read(history)["nodes"]["/a"]["dropped"] == [0.0, 0.0, 3.0, None, 0.0, 4.0]


def test_of_too_many_nodes_those_go_that_were_not_heard_for_longest() -> None:
    history = History(points=600, nodes=3)
    for second in range(6):
        history.tick(second, {f"/n{second}": {}, "/stays": {}})
    assert list(read(history)["nodes"]) == ["/n4", "/n5", "/stays"]


def test_days_of_nodes_that_come_and_go_take_no_more_memory() -> None:
    history = History(points=60, nodes=20)

    def live(first: int, last: int) -> None:
        for second in range(first, last):
            names = [f"/worker_{second // 7}_{number}" for number in range(30)]
            history.tick(second, {name: {"rate_out_hz": 1.0, "dropped": float(second)} for name in names})

    live(0, 200)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        live(200, 700)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(history) == 20
    ring = 60 * len(SERIES) * 4
    assert after - before < 20 * (ring + 4096)
