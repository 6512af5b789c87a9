# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy scores at the simulated tasks when inference takes time, by method of execution."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.sim.insertion import InsertionConfig, InsertionTask, draw_insertions
from lowlat_nodes.sim.interception import FlightConfig, InterceptionTask, draw_flights
from lowlat_nodes.sim.reaction import ReactionTask, Schedule, ScheduleConfig
from lowlat_nodes.sim.task import Task
from lowlat_nodes.train.expert import BRISK, ExpertConfig
from lowlat_nodes.train.figures import Figures
from lowlat_nodes.train.methods import METHODS
from lowlat_nodes.train.sights import ChunkPolicy, from_expert, from_policy
from lowlat_nodes.train.step_delay import play

OF_ONE_POLICY: Final = (
    "oracle",
    "sync",
    "sync_short",
    "naive_async",
    "naive_aligned",
    "vlash_last_action",
    "vlash_sum_deltas",
    "vlash_actuator",
    "vlash_perfect",
)
"""The methods that ask nothing special of a policy."""

EXPERTS: Final = {"reaction": ExpertConfig(), "interception": BRISK, "insertion": BRISK}
SERIES: Final = 10
"""Trials of one episode."""


def _reaction(trials: int, seed: int) -> Task:
    # At a random time, lest the first light of every series be in step with the launches.
    lead_in_ns = int(np.random.default_rng(seed).integers(500_000_000, 1_300_000_001))
    return ReactionTask(Schedule.generate(ScheduleConfig(targets=trials, lead_in_ns=lead_in_ns), seed=seed))


def _interception(trials: int, seed: int) -> Task:
    return InterceptionTask(draw_flights(FlightConfig(balls=trials), seed=seed))


def _insertion(trials: int, seed: int) -> Task:
    return InsertionTask(draw_insertions(InsertionConfig(slots=trials), seed=seed))


TASKS: Final[Mapping[str, Callable[[int, int], Task]]] = {
    "reaction": _reaction,
    "interception": _interception,
    "insertion": _insertion,
}
"""Makes a task of so many trials from a seed, by name."""


def draw(task: str, trials: int, seed: int) -> list[Task]:
    """Return a task by its name in series of `SERIES` trials, each drawn from its own seed."""
    sizes = [SERIES] * (trials // SERIES) + [trials % SERIES] * (trials % SERIES > 0)
    return [TASKS[task](size, seed + number) for number, size in enumerate(sizes)]


def evaluate(
    policy: ChunkPolicy,
    task: str,
    *,
    trials: int,
    seed: int,
    delay_steps: int = 8,
    jitter_steps: int = 0,
    methods: Sequence[str] = OF_ONE_POLICY,
) -> dict[str, Figures]:
    """Play the same trials of a task by its name, in series of ten, with each method of `train.methods`."""
    results = {}
    for method in methods:
        how = METHODS[method].execution(delay_steps, jitter_steps)
        results[method] = play(draw(task, trials, seed), policy, how, seed=seed)
    return results


def table(results: Mapping[str, Figures]) -> str:
    """The results as a Markdown table."""
    head = (
        "| method | success | 95 % interval | reaction p50, p99 (ms) | completion p50 (ms) | jerk (m/s³) "
        "| jump p95 (mrad) | held |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for name, one in results.items():
        low, high = one.success_ci95
        lines.append(
            f"| {name} | {one.success_rate:.3f} | {low:.3f} to {high:.3f} "
            f"| {one.reaction_ms(0.5):.0f}, {one.reaction_ms(0.99):.0f} | {one.completion_ms(0.5):.0f} "
            f"| {one.jerk_m_s3:.0f} | {one.boundary_jump_rad_p95 * 1e3:.0f} "
            f"| {one.held_steps / one.steps:.1%} |"
        )
    return "\n".join(lines)


def to_record(figures: Figures) -> dict[str, Any]:
    """The figures as JSON has them; NaN, where nothing happened, is null."""
    record: dict[str, Any] = {
        "trials": len(figures.trials),
        "successes": figures.successes,
        "success_rate": figures.success_rate,
        "success_ci95": list(figures.success_ci95),
        "reaction_min_ms": figures.reaction_ms(0.0),
        "reaction_p50_ms": figures.reaction_ms(0.5),
        "reaction_p99_ms": figures.reaction_ms(0.99),
        "reaction_max_ms": figures.reaction_ms(1.0),
        "reactions_missed": figures.reactions_missed,
        "completion_p50_ms": figures.completion_ms(0.5),
        "jerk_m_s3": figures.jerk_m_s3,
        "boundary_jump_p95_rad": figures.boundary_jump_rad_p95,
        "held_steps": figures.held_steps,
        "steps": figures.steps,
        "inferences": figures.inferences,
    }
    never = {name for name, value in record.items() if isinstance(value, float) and math.isnan(value)}
    return {name: None if name in never else value for name, value in record.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Score methods of execution with a policy, or with the demonstrator, in simulated time."""
    parser = argparse.ArgumentParser(prog="python -m lowlat_nodes.train.evaluate", description=main.__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("models/reach_flow.onnx"))
    parser.add_argument("--expert", action="store_true", help="the demonstrator instead of a model")
    parser.add_argument("--task", choices=TASKS, action="append", help="default: reaction")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--delay-steps", type=int, nargs="+", default=[8], help="inference time, 20 ms each")
    parser.add_argument("--jitter-steps", type=int, default=0, help="by how much it may be longer")
    parser.add_argument("--method", choices=OF_ONE_POLICY, action="append", help="default: all")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(argv)
    started = time.monotonic()
    steps, cpu_s = 0, 0.0
    records: dict[str, dict[str, Any]] = {}
    for task in options.task or ["reaction"]:
        policy = from_expert(EXPERTS[task]) if options.expert else from_policy(ExportedPolicy(options.model))
        for delay_steps in options.delay_steps:
            results = evaluate(
                policy,
                task,
                trials=options.trials,
                seed=options.seed,
                delay_steps=delay_steps,
                jitter_steps=options.jitter_steps,
                methods=options.method or OF_ONE_POLICY,
            )
            print(f"\n{task}, delay of {delay_steps} steps\n\n{table(results)}", file=sys.stderr, flush=True)
            records.setdefault(task, {})[str(delay_steps)] = {
                method: to_record(figures) for method, figures in results.items()
            }
            steps += sum(figures.steps for figures in results.values())
            cpu_s += sum(figures.cpu_s for figures in results.values())
    print(
        f"\n{time.monotonic() - started:.0f} s, {steps / cpu_s:.0f} control steps per CPU-second",
        file=sys.stderr,
    )
    if options.json:
        print(json.dumps(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
