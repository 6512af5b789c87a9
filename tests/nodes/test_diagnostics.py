# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a period and the message that carries them."""

from __future__ import annotations

import math
import platform
import threading
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter

from lowlat_nodes.energy.guard import Guard, GuardSettings
from lowlat_nodes.nodes.diagnostics import (
    DiagnosticSettings,
    DiagnosticsPublisher,
    Level,
    Report,
    Window,
    judge_clock,
    judge_guard,
    standard_values,
)
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.trace import Trace

pytestmark = pytest.mark.ros

MS = 1_000_000


def test_a_window_holds_what_went_out_since_the_last_turn() -> None:
    clock = ManualClock()
    window = Window(clock)
    for latency_ms in (1, 2, 3):
        window.give(Trace(capture_ns=1, received_ns=5 * MS, published_ns=(5 + latency_ms) * MS))
    clock.advance(500 * MS)
    figures = window.turn(received=4)
    assert figures["rate_in_hz"] == pytest.approx(8.0)
    assert figures["rate_out_hz"] == pytest.approx(6.0)
    assert figures["latency_p50_ms"] == pytest.approx(2.0, rel=0.01)
    assert figures["latency_p99_ms"] == pytest.approx(3.0, rel=0.01)
    assert figures["age_p50_ms"] == pytest.approx(7.0, rel=0.01)
    clock.advance(500 * MS)
    empty = window.turn(received=4)
    assert empty["rate_in_hz"] == empty["rate_out_hz"] == 0.0
    assert math.isnan(empty["age_p50_ms"])


def test_a_window_loses_nothing_between_threads() -> None:
    clock = ManualClock()
    window = Window(clock)
    total = 4000

    def give() -> None:
        for _ in range(total):
            window.give(Trace(1, 1, published_ns=2))

    def turn() -> float:
        clock.advance(1000 * MS)
        return window.turn(0)["rate_out_hz"]

    thread = threading.Thread(target=give)
    thread.start()
    seen = 0.0
    while thread.is_alive():
        seen += turn()
    thread.join()
    assert seen + turn() == pytest.approx(total)


def test_stamps_of_a_clock_ahead_count_as_no_age_and_are_warned_of() -> None:
    window, now_ns = Window(ManualClock(0)), 10_000 * MS
    window.give(Trace(now_ns + 3_600_000 * MS, now_ns, published_ns=now_ns + MS))
    window.give(Trace(now_ns + 5 * MS, now_ns, published_ns=now_ns))  # as clocks differ that are kept
    figures = window.turn(2)
    assert (figures["age_p50_ms"], figures["age_p99_ms"], figures["stamps_ahead"]) == (0.0, 0.0, 1)
    report = judge_clock(Report(Level.OK, "running", standard_values("active", figures=figures)))
    assert report.level == Level.WARN
    assert report.summary == "1 stamps are ahead of this clock: do the hosts keep the same time?"
    worse = judge_clock(Report(Level.ERROR, "stuck", standard_values("active", figures=figures)))
    assert (worse.level, worse.summary) == (Level.ERROR, "stuck")
    assert "stamps_ahead" not in window.turn(2)
    assert judge_clock(Report(Level.OK, "running")).level == Level.OK


def test_the_standard_values_name_every_drop() -> None:
    values = standard_values(
        "active", drops={"stale": 2, "malformed": 1}, failures={"process: ValueError": 4}, last_failure="x"
    )
    assert values["drops"] == 3
    assert values["drops.stale"] == 2
    assert values["failures"] == 4
    assert {"rate_in_hz", "rate_out_hz", "age_p50_ms", "age_p99_ms", "latency_p50_ms"} <= set(values)
    assert values["state"] == "active"
    assert values["last_failure"] == "x"


def test_a_guard_is_told_of_and_an_open_breaker_is_a_warning_with_the_name_and_the_remedy() -> None:
    guard = Guard(GuardSettings(), most=100.0, free=1.0)
    guard.note(3.0, cut=False, source="front", bucket="wide")
    report = judge_guard(Report(Level.OK, "running"), guard.state(), "boxes")
    assert (report.level, report.summary) == (Level.OK, "running")
    assert report.values["guard.mean.wide"] == 3.0
    assert report.values["guard.limit.wide"] == 100.0
    for _ in range(5):
        guard.note(200.0, cut=True, source="rear", bucket="wide")
    guard.limit("rear", "wide")
    report = judge_guard(Report(Level.OK, "running"), guard.state(), "boxes")
    assert report.level == Level.WARN
    assert report.summary.startswith("rear: too many calls wanted far more boxes than is usual")
    assert "raise energy.guard.sigmas" in report.summary
    counts = {name: report.values[f"guard.{name}"] for name in ("calls", "cut", "refused", "opened", "open")}
    assert counts == {"calls": 6, "cut": 5, "refused": 1, "opened": 1, "open": "rear"}
    error = judge_guard(Report(Level.ERROR, "stuck"), guard.state(), "boxes")
    assert (error.level, error.summary) == (Level.ERROR, "stuck")


def test_a_report_is_published_periodically(robot: Any) -> None:
    messages = robot.listen(DiagnosticArray, "/diagnostics")
    node = robot.add(rclpy.create_node("camera", namespace="left"))
    reports = iter(range(1000))

    def report() -> Report:
        return Report(Level.WARN, "slow", {"rate_hz": 2.0 / 3.0, "count": next(reports), "word": "x"})

    publisher = DiagnosticsPublisher(node, "detector", report, DiagnosticSettings(period=0.05))
    robot.spin_until(lambda: len(messages) >= 2)
    status = messages[-1].status[0]
    assert status.name == "camera: detector"
    assert status.level == bytes([Level.WARN])
    assert status.message == "slow"
    assert status.hardware_id == platform.node()
    values = {item.key: item.value for item in status.values}
    assert values == {"rate_hz": "0.6667", "count": values["count"], "word": "x", "node": "/left/camera"}
    assert int(values["count"]) > int(messages[0].status[0].values[1].value)
    publisher.close()
    assert node.count_publishers("/diagnostics") == 0


def test_the_full_name_is_an_option(robot: Any) -> None:
    messages = robot.listen(DiagnosticArray, "/diagnostics")
    node = robot.add(rclpy.create_node("camera", namespace="left"))
    config = DiagnosticSettings(period=0.05, use_fqn=True)
    DiagnosticsPublisher(node, "detector", Report, config, hardware_id="gpu0")
    robot.spin_until(lambda: messages)
    assert messages[0].status[0].name == "/left/camera: detector"
    assert messages[0].status[0].hardware_id == "gpu0"


def test_a_paused_simulation_does_not_hide_a_node(robot: Any) -> None:
    messages = robot.listen(DiagnosticArray, "/diagnostics")
    use_sim_time = Parameter("use_sim_time", value=True)
    node = robot.add(rclpy.create_node("camera", parameter_overrides=[use_sim_time]))
    DiagnosticsPublisher(node, "detector", Report, DiagnosticSettings(period=0.05))
    robot.spin_until(lambda: len(messages) >= 2)
    assert messages[-1].header.stamp.sec == 0
