# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The live table on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from lowlat_nodes.cli.demo.table import LiveTable, power

MS = 1_000_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_long_names_keep_the_columns() -> None:
    out = io.StringIO()
    table = LiveTable(out, ["vlash", "vlash_delay_conditioned"])
    for name in ("vlash", "vlash_delay_conditioned"):
        play(table, name, 3)

    ends = {line.rstrip().rfind(" ") for line in out.getvalue().splitlines()[1:]}

    assert len(ends) == 1


def play(table: LiveTable, name: str, lights: int) -> None:
    table.hear(name, {"phase": "starting"})
    table.hear(name, {"policy": {"stalled_ticks": "40", "stalls": "0", "inferences": "2", "state": "active"}})
    table.hear(name, {"event": "start", "targets": lights})
    table.hear(name, {"phase": "playing"})
    for light in range(lights):
        table.hear(name, {"event": "on", "id": light, "asked": True, "stamp_ns": light * 1000 * MS})
        table.hear(name, {"event": "on", "id": 100 + light, "asked": False, "stamp_ns": 0})
        if light:
            table.hear(name, {"event": "hit", "id": light, "stamp_ns": (light * 1000 + 321) * MS})
    table.hear(name, {"policy": {"stalled_ticks": "43", "stalls": "1", "inferences": "30"}})
    table.hear(name, {"phase": "done", "energy": {"kind": "modelled", "watts": 0.31}})


def test_a_log_gets_a_row_now_and_then_and_no_control_characters() -> None:
    out = io.StringIO()
    play(LiveTable(out, ["sync", "vlash"]), "sync", 25)

    head, *rows = out.getvalue().splitlines()

    assert head.split() == [
        "strategy",
        "state",
        "lights",
        "touched",
        "within",
        "stalled",
        "stalls",
        "inferences",
        "W",
    ]
    assert len(rows) == 3  # after 10 and 20 lights, and at the end
    assert rows[-1].split() == ["sync", "done", "25/25", "24", "321", "ms", "3", "1", "28", "~0.31"]
    assert "\x1b" not in out.getvalue()


def test_power_is_told_as_it_is_known() -> None:
    assert power("measured", 12.345) == "12.35"
    assert power("modelled", 0.5) == "~0.50"
    assert power("unavailable", None) == "no meter"


def test_the_names_that_are_compared_by_default_fit_a_terminal_of_80_columns() -> None:
    out = io.StringIO()
    play(LiveTable(out, ["sync", "naive_async", "vlash"]), "naive_async", 25)
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_a_terminal_is_redrawn_in_place_with_all_strategies() -> None:
    out = Terminal()
    play(LiveTable(out, ["sync", "vlash"]), "sync", 2)

    screens = out.getvalue().split("\x1b[3A")

    assert len(screens) > 5
    assert all("sync" in screen and "vlash" in screen for screen in screens)
    assert "2/2" in screens[-1]


@pytest.mark.parametrize(("out", "lines"), [(io.StringIO(), 1), (Terminal(), 3)])
def test_something_is_shown_before_the_first_run_has_started(out: io.StringIO, lines: int) -> None:
    table = LiveTable(out, ["sync", "vlash"])
    table.begin()
    begun = out.getvalue()
    assert begun.count("\n") == lines
    assert "strategy" in begun

    play(table, "sync", 1)
    assert out.getvalue().startswith(begun)
    if not out.isatty():
        assert out.getvalue().count("strategy") == 1
