# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node says about itself on /diagnostics: rates, ages, drops and health, once a second."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from lowlat_nodes.energy.guard import GuardState
from lowlat_nodes.nodes.guards import explain_open
from lowlat_nodes.stream.clock import Clock as StreamClock
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.peer import Peer
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.ros.topics import overridable

MS = 1_000_000  # ns

# A stamp this far ahead of our clock comes from another one: hosts that keep time differ by less.
_AHEAD_NS = 20 * MS


class Level(IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class DiagnosticSettings:
    """How a node reports; the names are those of the diagnostic_updater package."""

    period: float = setting(1.0, unit="s", low=0.05, high=60.0, doc="Time between two reports.")
    use_fqn: bool = setting(False, doc="Whether reports carry the node's name with its namespace.")


@dataclass
class Report:
    """One diagnostic status.

    Attributes:
        level: How the task is.
        summary: The same in a few words.
        values: Further figures; numbers are written with four significant digits.
    """

    level: Level = Level.OK
    summary: str = ""
    values: dict[str, str | int | float] = field(default_factory=dict)


class Window:
    """Measures what goes out between two reports; thread-safe.

    Args:
        clock: Measures the time between them.
    """

    def __init__(self, clock: StreamClock | None = None) -> None:
        self._clock = clock or SteadyClock()
        self._lock = threading.Lock()
        self._since_ns = self._clock.now_ns()
        self._received = self._given = self._ahead = 0
        self._age, self._latency = Histogram(), Histogram()

    def give(self, trace: Trace) -> None:
        """Count a result that went out, with the age of its input and the time since its receipt."""
        age_ns = trace.age_ns(trace.published_ns)
        with self._lock:
            self._given += 1
            self._ahead += age_ns < -_AHEAD_NS
            self._age.record(age_ns)
            self._latency.record(trace.latency_ns())

    def turn(self, received: int) -> dict[str, float]:
        """Return the figures since the last call and begin anew.

        Args:
            received: How many messages have come in since the window was made.

        Returns:
            `rate_in_hz`, `rate_out_hz`, and `age_p50_ms`, `age_p99_ms`, `latency_p50_ms`, `latency_p99_ms`,
            which are NaN where nothing went out; `stamps_ahead`, how many inputs had a stamp that our clock
            had yet to reach, where there were any. The ages of those count as 0.
        """
        age, latency = Histogram(), Histogram()
        with self._lock:
            now_ns = self._clock.now_ns()
            elapsed_s, self._since_ns = max(now_ns - self._since_ns, MS) * 1e-9, now_ns
            taken, self._received = received - self._received, received
            given, self._given = self._given, 0
            ahead, self._ahead = self._ahead, 0
            age, self._age = self._age, age
            latency, self._latency = self._latency, latency
        figures = {"rate_in_hz": taken / elapsed_s, "rate_out_hz": given / elapsed_s}
        for name, histogram in (("age", age), ("latency", latency)):
            p50, p99 = histogram.quantiles((0.5, 0.99))
            figures[f"{name}_p50_ms"] = p50 / MS if histogram.count else float("nan")
            figures[f"{name}_p99_ms"] = p99 / MS if histogram.count else float("nan")
        return figures | ({"stamps_ahead": ahead} if ahead else {})


NO_COUNTS: Mapping[str, int] = MappingProxyType({})
NO_FIGURES: Mapping[str, float] = MappingProxyType(Window().turn(0))


def standard_values(
    state: str,
    *,
    figures: Mapping[str, float] = NO_FIGURES,
    drops: Mapping[str, int] = NO_COUNTS,
    failures: Mapping[str, int] = NO_COUNTS,
    last_failure: str = "",
) -> dict[str, str | int | float]:
    """Return the values that every node of this package reports, and that `lowlat top` shows.

    =============================== ==============================================================
    rate_in_hz, rate_out_hz         messages in and results out
    age_p50_ms, age_p99_ms          from the capture of an input to the publication of its result
    latency_p50_ms, latency_p99_ms  from the receipt of an input to the publication of its result
    stamps_ahead                    inputs with stamps of a clock that is ahead of ours; only where there are
    drops, drops.<reason>           messages dropped
    failures                        messages that made something raise
    state                           unconfigured, inactive, active or finalized
    last_failure                    text of the newest error, empty if there was none
    =============================== ==============================================================

    Rates, ages and latencies are those of the last period, drops and failures count from the activation.
    A quantile of nothing is `nan`.
    """
    return {
        **figures,
        "drops": sum(drops.values()),
        **{f"drops.{reason}": count for reason, count in drops.items()},
        "failures": sum(failures.values()),
        "state": state,
        "last_failure": last_failure,
    }


def judge_loop(report: Report, pulse: Pulse) -> Report:
    """Return a report with `loop_age_ms`, the time since the last turn of a loop; an error if it is stuck."""
    age_ns = pulse.age_ns()
    report.values["loop_age_ms"] = age_ns / MS
    if pulse.stuck:
        report.level = Level.ERROR
        report.summary = f"stuck: its loop has not gone round for {age_ns * 1e-9:.1f} s"
    return report


def judge_clock(report: Report) -> Report:
    """Return a report that warns of stamps ahead of our clock, unless it has something worse to say."""
    ahead = report.values.get("stamps_ahead")
    if ahead and report.level == Level.OK:
        report.level = Level.WARN
        report.summary = f"{ahead} stamps are ahead of this clock: do the hosts keep the same time?"
    return report


def judge_peers(report: Report, peers: Mapping[str, Peer]) -> Report:
    """Return a report with the state of each peer; a warning if one of them is lost.

    ===================== =============================================================================
    peer.<name>.state     see `stream.peer`, followed by the name of the loop where it has several
    peer.<name>.for_s     for how long it has been so
    peer.<name>.sequence  how many messages its loop had finished by its last heartbeat
    peer.<name>.latency_ms  from receipt to publication of its newest result then
    ===================== =============================================================================
    """
    now_ns = SteadyClock().now_ns()
    for name, peer in peers.items():
        states = peer.states(now_ns)
        for state in states:
            at = f"peer.{name}.{state.name}" if len(states) > 1 else f"peer.{name}"
            report.values[f"{at}.state"] = state.state
            report.values[f"{at}.for_s"] = state.for_ns * 1e-9
            if state.said:
                report.values[f"{at}.sequence"] = state.sequence
                report.values[f"{at}.latency_ms"] = state.latency_ns / MS
            if state.lost and report.level in {Level.OK, Level.STALE}:
                report.level, report.summary = Level.WARN, f"{name} ({state.name}) {state.explain()}"
    return report


def to_status(name: str, report: Report, hardware_id: str) -> DiagnosticStatus:
    """Return a report as a message."""
    return DiagnosticStatus(
        level=bytes([report.level]),
        name=name,
        message=report.summary,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=_text(value)) for key, value in report.values.items()],
    )


def judge_guard(report: Report, state: GuardState, unit: str) -> Report:
    """Return a report with what a guard has done; a warning while a breaker is open.

    ======================= ==========================================================================
    guard.calls, guard.cut  calls, and those that wanted more than they may
    guard.refused           calls that were not worked on, as the breaker of their source was open
    guard.opened            how often a breaker opened
    guard.open              the sources whose breaker is open or half open
    guard.limit, .mean      what a call may cost now, and what it does on average, in `guard.unit`;
                            with the name of the bucket behind where there are several
    ======================= ==========================================================================
    """
    report.values |= {
        "guard.calls": state.calls,
        "guard.cut": state.cuts,
        "guard.refused": state.refused,
        "guard.opened": state.opened,
        "guard.open": ", ".join(state.open),
        "guard.unit": unit,
    }
    for each in state.buckets:
        behind = f".{each.bucket}" if each.bucket else ""
        report.values |= {f"guard.limit{behind}": each.limit, f"guard.mean{behind}": each.mean}
    if state.open and report.level in {Level.OK, Level.STALE}:
        report.level, report.summary = Level.WARN, explain_open(state, unit)
    return report


def judge_turn(report: Report, figures: Mapping[str, str | int | float]) -> Report:
    """Return a report with the figures of a shared device (`Turn.figures`).

    It is a warning where deadlines cannot all be met as things cost now. An error of a node that waits for
    the device says who has it.
    """
    report.values |= figures
    blocked_by = figures.get("turn.blocked_by")
    if report.level is Level.ERROR and blocked_by:
        report.summary += f"; waiting for {figures['turn.device']}, which is taken by {blocked_by}"
    elif report.level in {Level.OK, Level.STALE} and figures.get("turn.feasible") == "no":
        report.level = Level.WARN
        report.summary = (
            f"as jobs cost now, not all nodes at {figures['turn.device']} can meet their deadlines: "
            f"{figures['turn.shared_with']} and this one"
        )
    return report


class DiagnosticsPublisher:
    """Publishes a report on /diagnostics, by wall time: a paused simulation does not hide a node.

    Every node of this package reports `standard_values` under the status name `<node>: <task>`, and under
    `node` its name with the namespace.

    Args:
        node: Owns publisher and timer.
        task: What is reported on.
        report: Called for each report, in the thread that spins the node.
        config: Period and naming.
        hardware_id: The machine or device; the host name unless given.
    """

    def __init__(
        self,
        node: Node,
        task: str,
        report: Callable[[], Report],
        config: DiagnosticSettings,
        *,
        hardware_id: str = "",
    ) -> None:
        self._node = node
        self._report = report
        owner = node.get_fully_qualified_name() if config.use_fqn else node.get_name()
        self._name = f"{owner}: {task}"
        self._hardware_id = hardware_id or platform.node()
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=1), qos_overriding_options=overridable()
        )
        self._timer = node.create_timer(
            config.period, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def publish(self) -> None:
        """Publish a report now."""
        report = self._report()
        # The name of a status leaves out the namespace, by convention; two robots would look like one.
        values = {**report.values, "node": self._node.get_fully_qualified_name()}
        status = to_status(self._name, Report(report.level, report.summary, values), self._hardware_id)
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def close(self) -> None:
        """Stop reporting."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


def _text(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
