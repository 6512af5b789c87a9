# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy scores at the reaction task when inference takes time, in simulated time without ROS."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.onnx import OnnxPolicy
from lowlat_nodes.control.policies.policy import Observation, Policy
from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.kinematics import forward
from lowlat_nodes.sim.reaction import EventKind, ReactionTask, Schedule, ScheduleConfig
from lowlat_nodes.sim.score import CommandTrack, Target, score

Floats = NDArray[np.float64]
STEP_NS: Final = 20_000_000
SUBSTEP_NS: Final = 5_000_000
FRAME_NS: Final = 33_333_333
STRATEGIES: Final = ("oracle", "sync", "naive_async", "vlash", "vlash_lag", "vlash_last_action")


@dataclass(frozen=True)
class Result:
    """What one strategy achieved; `wrong` counts touched decoys, the rest is as in `sim.score`."""

    hit_rate: float
    hit_rate_ci95: tuple[float, float]
    targets: int
    wrong: int
    reaction_p50_ms: float
    reaction_p99_ms: float
    touch_p50_ms: float
    resting_sigma_mm: float


class _Run:
    """One pass over a schedule: arm, camera at 30 Hz and task, stepped by a command of 20 ms at a time."""

    def __init__(self, schedule: Schedule, seed: int) -> None:
        self.arm = ArmSim(seed=seed)
        self.now_ns = 0
        self.commands: list[Floats] = []
        self.targets: list[Target] = []
        self.wrong = 0
        self._task = ReactionTask(schedule)
        self._camera = TableCamera()
        self._image = self._camera.render(self.arm.q)
        self._next_frame_ns = 0

    def observe(self) -> tuple[Floats, NDArray[np.uint8]]:
        """The measured state [6] of now and the newest image."""
        reading = self.arm.read()
        return np.concatenate([reading.position, reading.velocity]), self._image

    def foresee(self, commands: Floats) -> Floats:
        """The true state [6] after some commands, from a copy of the simulator."""
        ahead = self.arm.fork()
        for command in commands:
            ahead.step(command, STEP_NS)
        return np.concatenate([ahead.q, ahead.qd])

    def step(self, command: Floats) -> None:
        """Send a command and let one action period pass."""
        self.commands.append(command)
        for _ in range(STEP_NS // SUBSTEP_NS):
            for event in self._task.advance(self.now_ns, self.arm.tip):
                light = event.light
                self.wrong += event.kind is EventKind.WRONG
                if event.kind in (EventKind.HIT, EventKind.MISS):
                    hit = event.kind is EventKind.HIT
                    self.targets.append(
                        Target(light.id, light.onset_ns, event.time_ns, light.x_m, light.y_m, hit)
                    )
            if self.now_ns >= self._next_frame_ns:
                self._image = self._camera.render(self.arm.q, self._task.things)
                self._next_frame_ns += FRAME_NS
            self.arm.step(command, SUBSTEP_NS)
            self.now_ns += SUBSTEP_NS


def play(strategy: str, policy: Policy, schedule: Schedule, *, delay_steps: int, seed: int) -> Result:
    """Run one strategy over a schedule; inference takes `delay_steps` action periods.

    `oracle` infers in no time at every step. `sync` executes a whole chunk, then holds while it infers. The
    others launch back to back and switch when the result is there: `naive_async` with a chunk that starts
    from the state at the launch, `vlash` with one that starts from the state at the switch, known exactly
    (`vlash`), by a first-order lag model (`vlash_lag`), or taken to be the last command
    (`vlash_last_action`).
    """
    run = _Run(schedule, seed)
    lag_s = np.asarray(run.arm.config.lag_ns) * 1e-9
    chunk = np.repeat(run.arm.q[None], delay_steps, axis=0)
    request = 0
    while run.now_ns < schedule.duration_ns:
        upcoming = chunk[:delay_steps]
        if strategy == "oracle":
            upcoming = chunk[:0]
        elif strategy == "sync":
            upcoming = np.repeat(chunk[-1:], delay_steps, axis=0)
        state, image = run.observe()
        if strategy == "vlash":
            state = run.foresee(upcoming)
        elif strategy == "vlash_lag":
            state = _roll_lag(state, upcoming, lag_s)
        elif strategy == "vlash_last_action":
            state = np.concatenate([upcoming[-1], (upcoming[-1] - upcoming[-2]) / (STEP_NS * 1e-9)])
        observation = Observation(state.astype(np.float32), {"image": image}, schedule.task, request)
        chunk, request = policy.infer(observation), request + 1
        for command in upcoming:
            run.step(command)
        if strategy in ("oracle", "sync"):
            for command in chunk[: 1 if strategy == "oracle" else None]:
                run.step(command)
    return _result(run)


def _roll_lag(state: Floats, commands: Floats, lag_s: Floats) -> Floats:
    """The state after some commands if each joint is a first-order lag."""
    position, velocity = state[:3], state[3:]
    decay = np.exp(-STEP_NS * 1e-9 / lag_s)
    for command in commands:
        velocity = (command - position) / lag_s * decay
        position = command + (position - command) * decay
    return np.concatenate([position, velocity])


def _result(run: _Run) -> Result:
    stamps = np.arange(len(run.commands), dtype=np.int64) * STEP_NS
    scored = score(run.targets, CommandTrack(stamps, forward(np.array(run.commands))[:, -1]))
    touches = [target.off_ns - target.onset_ns for target in run.targets if target.hit]
    return Result(
        hit_rate=scored.hit_rate,
        hit_rate_ci95=scored.hit_ci95,
        targets=scored.targets,
        wrong=run.wrong,
        reaction_p50_ms=scored.reaction_quantile_ns(0.5) * 1e-6,
        reaction_p99_ms=scored.reaction_quantile_ns(0.99) * 1e-6,
        touch_p50_ms=float(np.median(touches)) * 1e-6 if touches else math.nan,
        resting_sigma_mm=float(scored.sigma_m[-1]) * 1e3,
    )


def evaluate(
    policy: Policy,
    config: ScheduleConfig,
    *,
    seed: int,
    delay_steps: int = 8,
    strategies: Sequence[str] = STRATEGIES,
) -> dict[str, Result]:
    """Play strategies over the same schedule."""
    schedule = Schedule.generate(config, seed=seed)
    return {
        strategy: play(strategy, policy, schedule, delay_steps=delay_steps, seed=seed)
        for strategy in strategies
    }


def table(results: dict[str, Result]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| strategy | hit rate | 95 % interval | decoys touched | reaction p50, p99 (ms) | touch p50 (ms) |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        low, high = one.hit_rate_ci95
        lines.append(
            f"| {name} | {one.hit_rate:.3f} | {low:.3f} to {high:.3f} | {one.wrong} "
            f"| {one.reaction_p50_ms:.0f}, {one.reaction_p99_ms:.0f} | {one.touch_p50_ms:.0f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Score the strategies with a policy in simulated time."""
    parser = argparse.ArgumentParser(prog="python -m lowlat_nodes.train.evaluate", description=main.__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("models/reach_flow.onnx"))
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the schedule")
    parser.add_argument("--delay-steps", type=int, default=8, help="inference time in 20 ms steps")
    parser.add_argument("--strategy", choices=STRATEGIES, action="append", help="default: all")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(argv)
    started = time.monotonic()
    results = evaluate(
        OnnxPolicy(options.model),
        ScheduleConfig(targets=options.targets),
        seed=options.seed,
        delay_steps=options.delay_steps,
        strategies=options.strategy or STRATEGIES,
    )
    print(table(results), file=sys.stderr)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    if options.json:
        print(json.dumps({name: asdict(one) for name, one in results.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
