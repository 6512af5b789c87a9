# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How late commands are at 500 Hz beside a busy policy, and what slow and killed policies do to them.

The real node with its processes, over real DDS, beside a robot that sends joint states at 500 Hz and VGA
images at 30 Hz. In every window an empty loop of the same priority runs beside the tick: what is late there
is late because of the machine. docs/bench_control.md explains the figures.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowlat_nodes.benchmarks import _suite
from lowlat_nodes.benchmarks._bare_loop import SHARES
from lowlat_nodes.benchmarks._control_architectures import ARCHITECTURES
from lowlat_nodes.benchmarks._control_node import NodeUnderTest, busy_parameters
from lowlat_nodes.benchmarks._control_policies import INFERENCE_NS, SLOW_EVERY, SLOW_FACTOR, WORK
from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.benchmarks._instrument import Instrument
from lowlat_nodes.benchmarks._ros_session import ros_session
from lowlat_nodes.nodes.bag.timeline import PHASE_NS

TICK_HZ = 500
TICK_NS = 1_000_000_000 // TICK_HZ
PRIORITY = 40
_COUNTS = ("misses", "stalled_ticks", "inferences", "worker_restarts", "standby_ticks")
_STALLS = ("stalls", "stalls_of_machine", "stalls_of_all_cores")
_KILL_AFTER_S = 0.5


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    windows: int
    window_s: float
    kills: int
    without_fifo_s: float
    without_fifo_workers: Sequence[str]
    without_standby_workers: Sequence[str]
    architecture_s: float


FULL = Plan(3, 12.0, 20, 5.0, tuple(WORK), tuple(WORK), 4.0)
QUICK = Plan(1, 4.0, 3, 3.0, ("gil",), ("gil",), 2.0)


class Bench:
    """A robot, an empty loop of the tick's priority, and one watcher per core.

    The watchers are faster empty loops of a higher priority: one that misses a deadline says that its core
    stood still, as the cores of a virtual machine do when the host has other work.

    Args:
        stack: Ends the processes.
        priority: Of the tick and the empty loop; 0 for the normal scheduler, which has no watchers.
    """

    def __init__(self, stack: ExitStack, robot: Instrument, priority: int) -> None:
        self._robot = robot

        def loop(**arguments: int) -> Instrument:
            instrument = Instrument("_bare_loop", **arguments)
            stack.enter_context(closing(instrument))
            return instrument

        # No two of them have deadlines at the same time.
        self._empty_loop = loop(priority=priority, tick_ns=TICK_NS, phase_ns=PHASE_NS + TICK_NS // 2)
        cpus = sorted(os.sched_getaffinity(0)) if priority else []
        self._watchers = [
            loop(priority=priority + 1, tick_ns=TICK_NS // 4, phase_ns=TICK_NS // 16, cpu=cpu) for cpu in cpus
        ]

    def window(self, node: NodeUnderTest, action: Callable[[], object]) -> dict[str, Any]:
        """Let the inactive node tick, and measure while something is done to it."""
        energy = Metered([node.pid])
        activated_ns = time.time_ns()
        node.change("activate")
        node.wait_for_inference(launched_after_ns=activated_ns)
        with energy:
            self._robot.tell()
            self._robot.hear()
            instruments = [self._empty_loop, *self._watchers]
            for instrument in instruments:
                instrument.tell()
            action()
            self._robot.tell()
            seen = self._robot.hear()
        for instrument in instruments:
            instrument.tell()
        empty, *watched = [instrument.hear() for instrument in instruments]
        node.refresh()
        node.change("deactivate")
        stood_still = [[(start, end) for start, end in answer["stood_still_ns"]] for answer in watched]
        return {
            "sched": node.values["sched"],
            **{name: _quantiles_us(node, name) for name in ("tick_late", "publish_late", "state_age")},
            "bare_loop": empty["late_us"],
            "bare_loop_stalls": empty["stalls"],
            **attribute(seen["stalls_ns"], stood_still),
            "stalls_counted_by_node": node.count("stalls"),
            "commands": seen["commands"],
            "commands_lost": seen["commands_lost"],
            "longest_gap_ms": seen["longest_gap_ms"],
            **{name: node.count(name) for name in _COUNTS},  # since the activation
            "energy": energy.plain("action", seen["commands"]),
        }


Interval = tuple[int, int]


def attribute(
    stalls: Iterable[tuple[int, int, int]], stood_still: Sequence[Sequence[Interval]]
) -> dict[str, int]:
    """Count deadlines without a command, and those of them that the machine is to blame for.

    Args:
        stalls: How many deadlines passed between two commands, and when those were.
        stood_still: When each core stood still.

    Returns:
        `stalls`, all of them; `stalls_of_machine`, those of them during which a core stood still; and
        `stalls_of_all_cores`, those during which all did at once.
    """
    any_core = [interval for core in stood_still for interval in core]
    all_cores = functools.reduce(_common, stood_still) if stood_still else []
    counted = machine = hopeless = 0
    for missed, from_ns, to_ns in stalls:
        counted += missed
        # The tick before may have been held up, just not for long enough to miss its own deadline.
        stall = (from_ns - TICK_NS, to_ns)
        machine += missed * bool(_common([stall], any_core))
        hopeless += missed * bool(_common([stall], all_cores))
    return {"stalls": counted, "stalls_of_machine": machine, "stalls_of_all_cores": hopeless}


def _common(some: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """Return what two sets of intervals have in common."""
    pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in some for b in others)
    return [(start_ns, end_ns) for start_ns, end_ns in pairs if start_ns < end_ns]


def _quantiles_us(node: NodeUnderTest, name: str) -> dict[str, float]:
    return {share: round(float(node.values[f"{name}_{share}_ms"]) * 1e3, 1) for share in SHARES}


def summarise(windows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return medians of the latencies and sums of the counts over windows."""

    def median(name: str, share: str) -> float:
        return round(statistics.median(window[name][share] for window in windows), 1)

    counts = [name for name, value in windows[0].items() if isinstance(value, int)]
    figures: dict[str, Any] = {
        f"{name}_{share}_us": median(name, share)
        for name in ("tick_late", "publish_late", "state_age")
        for share in ("p50", "p99", "p999")
    }
    bare: dict[str, Any] = {f"{share}_us": median("bare_loop", share) for share in ("p50", "p99", "p999")}
    bare["stalls"] = sum(window["bare_loop_stalls"] for window in windows)
    figures |= {
        "sched": windows[0]["sched"],
        "bare_loop": bare,
        "tick_late_p99_ratio_to_bare_loop": round(figures["tick_late_p99_us"] / bare["p99_us"], 3),
        "tick_late_p999_ratio_to_bare_loop": round(figures["tick_late_p999_us"] / bare["p999_us"], 3),
        "tick_late_p999_us_by_window": [window["tick_late"]["p999"] for window in windows],
        "bare_loop_p999_us_by_window": [round(window["bare_loop"]["p999"], 1) for window in windows],
        "longest_gap_ms": round(max(window["longest_gap_ms"] for window in windows), 3),
    }
    return figures | {name: sum(w[name] for w in windows) for name in counts if name != "bare_loop_stalls"}


def _log(title: str, window: dict[str, Any]) -> None:
    def us(name: str) -> str:
        return "/".join(f"{value:.0f}" for value in window[name].values())

    print(
        f"{title:22} late {us('tick_late')}, empty loop {us('bare_loop')}, published {us('publish_late')} us "
        f"(p50/p99/p99.9/max); stalls {window['stalls']}, {window['stalls_of_machine']} while a core stood "
        f"still, {window['stalls_of_all_cores']} while all did (empty loop: {window['bare_loop_stalls']}); "
        f"ticks of the standby {window['standby_ticks']}; misses {window['misses']}",
        file=sys.stderr,
        flush=True,
    )


def measure_worker(
    bench: Bench, worker: str, priority: int, plan: Plan, folder: Path, *, standby: bool = True
) -> list[dict[str, Any]]:
    """Return the windows of one node with one policy."""
    windows, seconds = (plan.windows, plan.window_s) if priority else (1, plan.without_fifo_s)
    how = " without FIFO" if not priority else "" if standby else " without standby"
    parameters = busy_parameters(worker, TICK_HZ, priority=priority, standby=standby)
    with closing(NodeUnderTest(parameters, folder)) as node:
        found = []
        _meet(node)
        for number in range(windows):
            found.append(bench.window(node, lambda: node.spin(seconds)))
            _log(f"{worker} {number + 1}/{windows}{how}", found[-1])
    return found


def measure_kills(bench: Bench, kills: int, folder: Path) -> dict[str, Any]:
    """Kill the policy's process again and again, each time when it has come back and answered."""
    back_s: list[float] = []

    def kill_all() -> None:
        for number in range(kills):
            node.spin(_KILL_AFTER_S)
            killed_ns = time.time_ns()
            node.kill_worker()
            back_s.append((node.wait_for_inference(launched_after_ns=killed_ns) - killed_ns) * 1e-9)
            print(f"kill {number + 1}/{kills}: back after {back_s[-1]:.1f} s", file=sys.stderr, flush=True)

    parameters = busy_parameters("numpy", TICK_HZ, priority=PRIORITY)
    with closing(NodeUnderTest(parameters, folder)) as node:
        _meet(node)
        window = bench.window(node, kill_all)
        _log("kills", window)
    counts = (*_STALLS, "misses", "stalled_ticks", "worker_restarts")
    return {
        "kills": kills,
        **{name: window[name] for name in counts},
        "back_after_p50_s": round(statistics.median(back_s), 3),
        "back_after_max_s": round(max(back_s), 3),
    }


def _meet(node: NodeUnderTest) -> None:
    """Let node and robot find each other before anything counts."""
    node.change("activate")
    node.wait_for_inference(launched_after_ns=0)
    node.change("deactivate")
    node.refresh()


def measure_architecture(architecture: str, worker: str, seconds: float) -> dict[str, Any]:
    """Run the probe once."""
    command = [sys.executable, "-m", "lowlat_nodes.benchmarks._control_architectures", architecture]
    command += ["--worker", worker, "--tick-ns", str(TICK_NS), "--priority", str(PRIORITY)]
    command += ["--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60.0)
    figures: dict[str, Any] = json.loads(done.stdout)
    print(f"{architecture} {worker}: {figures}", file=sys.stderr, flush=True)
    return figures


def run(plan: Plan, folder: Path) -> dict[str, Any]:
    """Measure everything."""
    others = realtime_processes()
    if others:
        print(f"real-time threads of other processes run on this machine: {others}", file=sys.stderr)
    with ExitStack() as stack:
        robot = stack.enter_context(closing(Instrument("_control_robot", tick_ns=TICK_NS)))
        stack.enter_context(closing(Instrument("_control_robot", tick_ns=0)))
        with ExitStack() as instruments:
            bench = Bench(instruments, robot, PRIORITY)
            workers = {worker: measure_worker(bench, worker, PRIORITY, plan, folder) for worker in WORK}
            kills = measure_kills(bench, plan.kills, folder)
            without_standby = {
                worker: measure_worker(bench, worker, PRIORITY, plan, folder, standby=False)
                for worker in plan.without_standby_workers
            }
        with ExitStack() as instruments:
            bench = Bench(instruments, robot, 0)
            without_fifo = {
                worker: measure_worker(bench, worker, 0, plan, folder) for worker in plan.without_fifo_workers
            }
        architectures = {
            architecture: {
                worker: measure_architecture(architecture, worker, plan.architecture_s) for worker in WORK
            }
            for architecture in ARCHITECTURES
        }
    together = headline(workers)
    return {
        **together,
        **{name: together[name] + kills[name] for name in _STALLS},
        "kills": kills,
        "without_standby": headline(without_standby),
        "without_fifo": headline(without_fifo),
        "workers": {worker: summarise(windows) for worker, windows in workers.items()},
        "architectures": architectures,
        "energy": {worker: windows[-1]["energy"] for worker, windows in workers.items()},
        "setting": {
            "tick_hz": TICK_HZ,
            "windows": plan.windows,
            "window_s": plan.window_s,
            "inference_ms": INFERENCE_NS * 1e-6,
            "slow_share": 1.0 / SLOW_EVERY,
            "slow_factor": SLOW_FACTOR,
        },
        "machine": {
            "cpus": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load": os.getloadavg()[0],
            "other_realtime_processes": len(others),
        },
    }


def realtime_processes() -> list[int]:
    """Return the processes of others that have real-time threads; those distort the figures."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if not (folder / "cmdline").read_bytes():  # a kernel thread
                continue
            policies = {os.sched_getscheduler(int(task.name)) for task in (folder / "task").iterdir()}
        except OSError:  # it has just ended
            continue
        if policies & {os.SCHED_FIFO, os.SCHED_RR}:
            found.append(int(folder.name))
    return found


def headline(workers: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the medians over the windows of all policies: a p99.9 of one window is a handful of ticks."""
    figures = summarise([window for windows in workers.values() for window in windows])
    names = ("sched", "tick_late_p99_us", "tick_late_p999_us", "publish_late_p99_us", "bare_loop")
    return {name: figures[name] for name in (*names, "tick_late_p999_ratio_to_bare_loop", *_STALLS)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench control", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--quick", action="store_true", help="for a first look: fewer and shorter runs")
    suite = parser.add_argument_group("the suite of strategies, instead of the tick")
    suite.add_argument("--suite", action="store_true", help="success and reactions of all strategies")
    suite.add_argument("--policies", type=Path, metavar="FOLDER", help="of three training seeds")
    suite.add_argument("--work", type=Path, metavar="FOLDER", help="keeps what was played, to go on later")
    suite.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the figures")
    suite.add_argument("--part", choices=_suite.PARTS, action="append", help="default: all")
    options = parser.parse_args(argv)
    if options.suite:
        _print(
            _suite.run(
                quick=options.quick,
                policies=options.policies,
                work=options.work,
                plots=options.plots,
                parts=tuple(options.part or _suite.PARTS),
            ),
            options.json,
        )
        return 0
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as many as policy.threads has by default
    with ros_session() as folder:
        figures = run(QUICK if options.quick else FULL, folder)
    _print(figures, options.json)
    return 0


def _print(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    sys.exit(main())
