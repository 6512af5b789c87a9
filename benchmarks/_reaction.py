# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Event to first different command at VLASH's published setting: measured on the real node, and computed.

25 rows at 50 Hz, and an inference that takes what VLASH's graphics cards take (arXiv 2512.01031, table 2).
Each way to run the policy gets a node of its own, with its processes, over DDS. docs/bench_control_suite.md
explains the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.benchmarks._control_node import REPORT_S, NodeUnderTest
from lowlat_nodes.benchmarks._control_robot import COMMAND_TOPIC, JOINT_TOPIC
from lowlat_nodes.benchmarks._instrument import Instrument
from lowlat_nodes.benchmarks._reaction_policy import JOINTS, ROW_HZ, ROWS
from lowlat_nodes.benchmarks._ros_session import ros_session
from lowlat_nodes.nodes.bag.timeline import PHASE_NS

INFERENCE_MS = (30.4, 36.1, 64.1, 103.0)
"""RTX 5090, 4090 and 5070 of table 2, and the 4090 of a laptop, of the same paper."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "vlash_once_per_chunk": {"execution": {"strategy": "vlash", "launch": "just_in_time"}},
    "pipelined": {"execution": {"strategy": "pipelined"}, "policy": {"workers": 2}},
}
"""Parameters of ways to run a policy that are more than a strategy."""

_ONCE_PER_CHUNK = ("sync", "vlash_once_per_chunk")

SLACK_MS = 5.0
MARGIN_TICKS = 0
"""Of the estimated delay: a chunk that comes late starts a tick later, at the row that is due then."""

PRIORITY = 40
_LATE_NS = 2_000_000
_WARM_S = 2.0
_START_S = 6.0  # of a node and what is around it

Interval = tuple[int, int]


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Attributes:
        inference_ms: What each inference takes.
        tick_hz: Rate of commands.
        events: How many.
    """

    inference_ms: float
    tick_hz: float = 500.0
    events: int = 300


def formula(inference_ms: float) -> dict[str, float]:
    """Return VLASH's reaction times: execution and inference for synchronous, inference for asynchronous."""
    sync_ms = 1e3 * ROWS / ROW_HZ + inference_ms
    return {
        "sync_ms": round(sync_ms, 3),
        "async_ms": inference_ms,
        "ratio": round(sync_ms / inference_ms, 1),
    }


def answered_ns(events_ns: Sequence[int], changes: Sequence[tuple[int, float]]) -> list[int | None]:
    """Return when the first command was published that can only come of each event.

    Args:
        events_ns: Their times, increasing; the first one is number 1.
        changes: When commands with another value than the one before were published, and that value: the
            number of the newest event that the policy knew of.

    Returns:
        For each event, None where no command ever knew of it.
    """
    found: list[int | None] = []
    for number, event_ns in enumerate(events_ns, 1):
        knowing = (sent_ns for sent_ns, value in changes if value >= number and sent_ns >= event_ns)
        found.append(next(knowing, None))
    return found


def disturbed(intervals: Sequence[Interval], late: Sequence[Interval]) -> list[bool]:
    """Return for each interval whether an empty loop was late meanwhile."""
    ordered = sorted(late)
    starts = [start_ns for start_ns, _ in ordered]
    # Of loops on several cores, so that the one that began last need not be the one that ended last.
    ends = np.maximum.accumulate([end_ns for _, end_ns in ordered]) if ordered else np.empty(0)
    found = []
    for start_ns, end_ns in intervals:
        before = bisect_left(starts, end_ns)
        found.append(bool(before and ends[before - 1] > start_ns))
    return found


def distribution(times_ms: Sequence[float]) -> dict[str, float | int | None]:
    """Return quantiles, mean and extremes of times; None for all of them where there is none."""
    if not times_ms:
        return {"n": 0, **dict.fromkeys(("min_ms", "p50_ms", "mean_ms", "p99_ms", "worst_ms"))}
    times = np.asarray(times_ms)
    figures = {
        "min_ms": times.min(),
        "p50_ms": np.median(times),
        "mean_ms": times.mean(),
        "p99_ms": np.quantile(times, 0.99),
        "worst_ms": times.max(),
    }
    return {"n": len(times), **{name: round(float(value), 3) for name, value in figures.items()}}


def figures_of(
    seen: Mapping[str, Any],
    inferences: Sequence[Mapping[str, Any]],
    late: Sequence[Interval],
    *,
    tick_hz: float,
    bounded: bool,
) -> dict[str, Any]:
    """Return the figures of one run.

    Args:
        seen: What the robot saw.
        inferences: What the node told of its inferences.
        late: When an empty loop was late by more than 2 ms.
        tick_hz: Rate of commands.
        bounded: Whether the bound of asynchronous strategies is claimed for this one.
    """
    events_ns = seen["events_ns"]
    answers = answered_ns(events_ns, seen["changes"])
    pairs = [(event, answer) for event, answer in zip(events_ns, answers, strict=True) if answer is not None]
    times_ms = [(answer_ns - event_ns) * 1e-6 for event_ns, answer_ns in pairs]
    spoilt = disturbed(pairs, late)
    calm_ms = [time_ms for time_ms, bad in zip(times_ms, spoilt, strict=True) if not bad]
    launches_ns = sorted(item["launched_ns"] for item in inferences)
    period = distribution((np.diff(launches_ns) * 1e-6).tolist())
    inference = distribution([item["inference_ms"] for item in inferences])
    period_ms, inference_ms = period["p50_ms"], inference["p50_ms"]
    figures: dict[str, Any] = {
        **distribution(times_ms),
        "unanswered": len(events_ns) - len(pairs),
        "disturbed_events": sum(spoilt),
        "undisturbed_worst_ms": distribution(calm_ms)["worst_ms"],
        **{f"launch_period_{share}_ms": period[f"{share}_ms"] for share in ("p50", "p99")},
        **{f"inference_{share}_ms": inference[f"{share}_ms"] for share in ("p50", "p99")},
        "commands": seen["commands"],
    }
    if bounded and period_ms is not None and inference_ms is not None:
        bound_ms = inference_ms + period_ms + 1e3 / tick_hz + SLACK_MS
        worst_ms, calm_worst_ms = figures["worst_ms"], figures["undisturbed_worst_ms"]
        complete = len(pairs) == len(events_ns) > 0
        figures |= {
            "bound_ms": round(bound_ms, 3),
            "events_beyond_bound": sum(time_ms > bound_ms for time_ms in times_ms),
            "within_bound": complete and worst_ms <= bound_ms,
            "undisturbed_within_bound": complete and (calm_worst_ms is None or calm_worst_ms <= bound_ms),
        }
    return figures


def measure(name: str, setting: Setting, folder: Path, *, seed: int = 1) -> dict[str, Any]:
    """Run one way to drive the policy, within `ros_session`, and return its figures.

    Args:
        name: A strategy of `control.strategies`, or one of `VARIANTS`.
        setting: What to measure.
        folder: For the node's parameter file.
        seed: Of the events.
    """
    mean_ms = _mean_interval_ms(name, setting)
    with ExitStack() as stack:
        robot = stack.enter_context(closing(Instrument("_reaction_robot")))
        parameters = _parameters(name, setting)
        node = stack.enter_context(closing(NodeUnderTest(parameters, folder)))
        watchers = [stack.enter_context(closing(watcher)) for watcher in _watchers()]
        node.change("activate")
        node.wait_for_inference(launched_after_ns=0)
        node.spin(_WARM_S)
        node.inferences.clear()
        for watcher in watchers:
            watcher.tell()
        robot.tell(json.dumps([setting.events, 0.5 * mean_ms, 1.5 * mean_ms, seed]))
        node.wait(robot.answers, patience_s=60.0 + 3e-3 * mean_ms * setting.events)
        seen = robot.hear()
        for watcher in watchers:
            watcher.tell()
        late = [(start, end) for watcher in watchers for start, end in watcher.hear()["stood_still_ns"]]
        figures = figures_of(
            seen, node.inferences, late, tick_hz=setting.tick_hz, bounded=name not in _ONCE_PER_CHUNK
        )
        figures |= {"sched": node.values.get("sched", ""), "misses": node.count("misses")}
    text = ", ".join(f"{key} {figures[key]}" for key in ("n", "p50_ms", "worst_ms", "disturbed_events"))
    print(f"reaction, {setting.inference_ms:g} ms, {setting.tick_hz:g} Hz, {name}: {text}", file=sys.stderr)
    return figures


def at(setting: Setting, strategies: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run several ways to drive the policy at one setting, within `ros_session`: measured beside computed."""
    measured = {name: measure(name, setting, folder) for name in strategies}
    figures: dict[str, Any] = {
        "formula": formula(setting.inference_ms),
        "measured_worst_ms": {name: run["worst_ms"] for name, run in measured.items()},
        "measured": measured,
    }
    if "sync" in measured:
        for share in ("p50", "worst"):
            figures[f"measured_ratio_{share}"] = {
                name: _ratio(measured["sync"][f"{share}_ms"], run[f"{share}_ms"])
                for name, run in measured.items()
                if name != "sync"
            }
    return figures


def reaction(
    strategies: Sequence[str] = ("sync", "vlash"),
    *,
    events: int = 300,
    fewer_events: int = 60,
    inference_ms: Sequence[float] = INFERENCE_MS,
) -> dict[str, Any]:
    """Return reaction times at VLASH's setting, the first of `inference_ms`, and at the others.

    Args:
        strategies: Strategies of `control.strategies`, or names of `VARIANTS`.
        events: How many for each of them at the first one.
        fewer_events: How many at each of the others, and with commands at the rate of the rows.
        inference_ms: What an inference takes.
    """
    headline, *others = _settings(events, fewer_events, inference_ms)
    with ros_session() as folder:
        figures = at(headline, strategies, folder)
        found = [at(setting, strategies, folder) for setting in others]
    return {
        **figures,
        "tick_at_row_rate": found[0],
        "by_inference_ms": {
            f"{setting.inference_ms:g}": item for setting, item in zip(others[1:], found[1:], strict=True)
        },
        "setting": {
            "rows": ROWS,
            "row_hz": ROW_HZ,
            "inference_ms": headline.inference_ms,
            "tick_hz": headline.tick_hz,
            "margin_ticks": MARGIN_TICKS,
            "events": events,
            "slack_ms": SLACK_MS,
        },
    }


def reaction_takes_s(
    strategies: Sequence[str] = ("sync", "vlash"),
    *,
    events: int = 300,
    fewer_events: int = 60,
    inference_ms: Sequence[float] = INFERENCE_MS,
) -> float:
    """Return about how long `reaction` takes."""
    return sum(
        _START_S + 1e-3 * setting.events * _mean_interval_ms(name, setting)
        for setting in _settings(events, fewer_events, inference_ms)
        for name in strategies
    )


def _settings(events: int, fewer_events: int, inference_ms: Sequence[float]) -> list[Setting]:
    first_ms, *others_ms = inference_ms
    at_row_rate = Setting(first_ms, tick_hz=ROW_HZ, events=fewer_events)
    others = [Setting(other_ms, events=fewer_events) for other_ms in others_ms]
    return [Setting(first_ms, events=events), at_row_rate, *others]


def _mean_interval_ms(name: str, setting: Setting) -> float:
    """Return the mean time between events: so many cycles of the loop apart that their phases are random."""
    return 300.0 if name in _ONCE_PER_CHUNK else 3.0 * setting.inference_ms


def _ratio(slow_ms: float | None, fast_ms: float | None) -> float | None:
    return round(slow_ms / fast_ms, 2) if slow_ms and fast_ms else None


def _watchers() -> list[Instrument]:
    """Return an empty loop for each core, which sees when it stands still."""
    tick_ns = _LATE_NS
    return [
        Instrument(
            "_bare_loop",
            tick_ns=tick_ns,
            priority=PRIORITY + 1,
            phase_ns=PHASE_NS + tick_ns // 2 + number * tick_ns // 16,
            cpu=cpu,
        )
        for number, cpu in enumerate(sorted(os.sched_getaffinity(0)))
    ]


def _parameters(name: str, setting: Setting) -> dict[str, Any]:
    variant = VARIANTS.get(name, {"execution": {"strategy": name}})
    policy = {
        "kind": "python",
        "factory": "lowlat_nodes.benchmarks._reaction_policy:make",
        "inference_delay_ms": setting.inference_ms,
    }
    return {
        "autostart": False,
        "tick_hz": setting.tick_hz,
        "policy": policy | variant.get("policy", {}),
        "observation": {"joints": {"topic": JOINT_TOPIC, "names": list(JOINTS)}},
        "command": {"kind": "positions", "topic": COMMAND_TOPIC},
        "execution": {"margin_ticks": MARGIN_TICKS, **variant["execution"]},
        # What the paper describes. What its code does, the last action, would put the plan's own idea of the
        # signal in the place of the measured one.
        "roll_forward": {"kind": "sum_deltas"},
        "realtime": {"priority": PRIORITY},
        "diagnostic_updater": {"period": REPORT_S},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure alone, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", nargs="+", default=["sync", "vlash"])
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--fewer-events", type=int, default=60)
    parser.add_argument("--inference-ms", type=float, nargs="+", default=INFERENCE_MS)
    options = vars(parser.parse_args(argv))
    print(f"takes about {reaction_takes_s(**options):.0f} s", file=sys.stderr)
    print(json.dumps(reaction(**options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
