# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Each node is known by its full name, and shows when it falls silent."""

from __future__ import annotations

import pytest

from lowlat_nodes.cli.reports import Report, Reports
from lowlat_nodes.stream.clock import ManualClock

S = 10**9


def heard(*names: str, limit: int = 1000) -> list[str]:
    reports = Reports(ManualClock(), limit)
    for name in names:
        reports.hear(name, 0, "running", {})
    return [report.node for report in reports.newest()]


def test_nodes_of_one_name_in_several_namespaces_are_told_apart() -> None:
    reports = Reports(ManualClock())
    for namespace in ("/right", "/left"):
        reports.hear("arm: motion", 0, "running", {"node": f"{namespace}/arm", "state": "active"})
    assert [(report.node, report.part) for report in reports.newest()] == [
        ("/left/arm", "motion"),
        ("/right/arm", "motion"),
    ]


def test_parts_of_one_node_are_rows_of_their_own() -> None:
    reports = Reports(ManualClock())
    reports.hear("camera: frames", 0, "running", {})
    reports.hear("camera: calibration", 1, "old", {})
    assert [(report.part, report.level) for report in reports.newest()] == [
        ("calibration", "warn"),
        ("frames", "ok"),
    ]


def test_a_name_without_a_part_is_taken_as_it_is() -> None:
    assert heard("cpu usage") == ["cpu usage"]


def test_the_newest_report_replaces_the_former() -> None:
    clock = ManualClock()
    reports = Reports(clock)
    reports.hear("arm: motion", 0, "running", {"drops": "1"})
    clock.advance(S)
    reports.hear("arm: motion", 2, "broken", {"drops": "2"})
    clock.advance(S // 2)
    [report] = reports.newest()
    assert (report.level, report.message, report.number("drops"), report.silent_s) == (
        "error",
        "broken",
        2.0,
        0.5,
    )


@pytest.mark.parametrize(
    ("period_s", "waited_s", "silent"),
    [(0, 3.0, False), (0, 3.1, True), (1, 3.0, False), (1, 3.1, True), (10, 30.0, False), (10, 30.1, True)],
)
def test_a_node_is_silent_after_three_of_its_periods_and_three_seconds(
    period_s: int, waited_s: float, silent: bool
) -> None:
    clock = ManualClock()
    reports = Reports(clock)
    reports.hear("arm: motion", 0, "running", {})
    if period_s:
        clock.advance(period_s * S)
        reports.hear("arm: motion", 0, "running", {})
    clock.advance(round(waited_s * S))
    [report] = reports.newest()
    assert report.lost is silent
    assert report.level == ("silent" if silent else "ok")


def test_a_silent_node_that_comes_back_is_well_again() -> None:
    clock = ManualClock()
    reports = Reports(clock)
    reports.hear("arm: motion", 0, "running", {})
    clock.advance(60 * S)
    assert reports.newest()[0].lost
    reports.hear("arm: motion", 0, "running", {})
    assert not reports.newest()[0].lost


@pytest.mark.parametrize(("level", "word"), [(0, "ok"), (1, "warn"), (2, "error"), (3, "stale"), (7, "7")])
def test_levels_are_those_of_diagnostic_status(level: int, word: str) -> None:
    reports = Reports(ManualClock())
    reports.hear("arm", level, "", {})
    assert reports.newest()[0].level == word


@pytest.mark.parametrize(
    ("text", "number"), [("1.5", 1.5), ("3", 3.0), ("nan", None), ("inf", None), ("", None), ("many", None)]
)
def test_only_finite_numbers_are_figures(text: str, number: float | None) -> None:
    report = Report("/arm", "", "ok", "", 0.0, {"rate_in_hz": text})
    assert report.number("rate_in_hz") == number
    assert report.number("rate_out_hz") is None


def test_names_from_outside_cannot_fill_the_memory() -> None:
    assert heard("a", "b", "a", "c", limit=2) == ["a", "c"], "the one that was silent longest goes"


@pytest.mark.parametrize(
    ("present", "level", "message"),
    [
        ({"/arm", "/camera"}, "silent", "hangs: its process is in the ROS graph"),
        ({"/camera"}, "gone", "ended: it has left the ROS graph"),
        (None, "silent", "last report: running"),
    ],
)
def test_the_ros_graph_tells_a_node_that_hangs_from_one_that_ended(
    present: set[str] | None, level: str, message: str
) -> None:
    clock = ManualClock()
    reports = Reports(clock)
    reports.hear("arm: motion", 0, "running", {"node": "/arm"})
    assert reports.newest(present)[0].level == "ok"
    clock.advance(10 * S)
    [report] = reports.newest(present)
    assert report.level == level
    assert report.message.startswith(message)
    assert report.message.endswith("last report: running")


def test_who_does_not_tell_its_full_name_cannot_be_looked_up_in_the_graph() -> None:
    clock = ManualClock()
    reports = Reports(clock)
    reports.hear("cpu usage", 0, "12 %", {})
    clock.advance(10 * S)
    assert reports.newest({"/arm"})[0].level == "silent"
