# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench control --suite`: every strategy at three tasks, in simulated time and on real nodes."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lowlat_nodes import resources
from lowlat_nodes.benchmarks import (
    _reaction,
    _suite_actuators,
    _suite_cells,
    _suite_figures,
    _suite_plots,
    _wall,
    shared_observation,
)
from lowlat_nodes.benchmarks._suite_cells import Cell, Checkpoints
from lowlat_nodes.benchmarks._suite_figures import PRICED
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.evaluate import SERIES
from lowlat_nodes.train.methods import METHODS
from lowlat_nodes.train.step_delay import STEP_NS

PARTS: Final = ("step", "wall", "training")
SEEDS: Final = (0, 1, 2)


@dataclass(frozen=True)
class Round:
    """Delays and the methods that meet them.

    Attributes:
        delays: In steps.
        methods: Names.
        trials: Of each cell, pooled over the training seeds.
        jitter_steps: By how much longer each inference may take.
    """

    delays: tuple[int, ...]
    methods: tuple[str, ...]
    trials: int
    jitter_steps: int = 0


ALL: Final = tuple(METHODS)
MOST: Final = tuple(name for name, method in METHODS.items() if method.headline)
LESS: Final = tuple(name for name in ALL if name not in MOST)
SOME: Final = ("oracle", "naive_aligned", "vlash_last_action", "ours")
FULL: Final = (
    Round((4, 8, 0), MOST, 1000),
    Round((4,), LESS, 500),
    Round((4,), SOME, 500, jitter_steps=4),
    Round((12,), SOME, 500),  # beyond the delays of the training
    Round((1, 2), (*SOME, "naive_async", "vlash_actuator"), 250),
)
QUICK: Final = (
    Round((4,), MOST, 200),
    Round((0, 8), (*SOME, *PRICED, "vlash_recorded_last_action"), 200),
    Round((4,), SOME, 200, jitter_steps=4),
)

AT_PUBLISHED: Final = ("sync", "vlash", "pipelined")
ON_NODES: Final = ("sync", "naive_async", "vlash", "ours")


def shipped() -> Checkpoints:
    """Return the policies that come with the package: one training seed."""
    return Checkpoints(f"{resources.path('models')}/table_{{variant}}.onnx", SEEDS[:1])


def trained(folder: Path) -> Checkpoints:
    """Return the policies of all training seeds in a folder that `lowlat train policy` filled."""
    return Checkpoints(f"{folder}/seed{{seed}}/{{variant}}.onnx", SEEDS)


def run(
    *, quick: bool, policies: Path | None, work: Path | None, plots: Path | None, parts: tuple[str, ...]
) -> dict[str, Any]:
    """Run the suite and return its figures.

    Args:
        quick: Fewer cells and trials, with the shipped policies.
        policies: Folder of the trained policies; None for the shipped ones, if quick.
        work: Folder that keeps what was played, so that an interrupted run goes on; None for a passing one.
        plots: Folder for plots, if any are wanted.
        parts: Which of `PARTS`.

    Raises:
        ConfigurationError: If there are no policies of three training seeds for the whole suite.
    """
    if policies is None and not quick:
        raise ConfigurationError(
            "--suite: expected --policies FOLDER with the policies of three training seeds, made by "
            "`lowlat train policy --seed 0 1 2 --out FOLDER`; --quick takes the shipped ones"
        )
    checkpoints = shipped() if policies is None else trained(policies)
    if missing := checkpoints.missing():
        raise ConfigurationError(f"expected trained policies, {len(missing)} are missing: {missing[0]} ...")
    with ExitStack() as stack:
        if work is None:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        figures: dict[str, Any] = {}
        if "step" in parts:
            figures |= _step(quick, checkpoints, work, plots)
            figures["rtc"] = {"vjp_error": _vjp_error(checkpoints)}
        if "wall" in parts:
            figures |= _wall_clock(quick)
        if "training" in parts:
            figures |= _training(quick)
    return figures | {"setting": _setting(quick, checkpoints), "machine": _machine()}


def _step(quick: bool, checkpoints: Checkpoints, work: Path, plots: Path | None) -> dict[str, Any]:
    """The cells in simulated time."""
    began_s = time.monotonic()
    actuators = work / "actuators.yaml"
    identified = _suite_actuators.fit(work, actuators)
    rounds = QUICK if quick else FULL
    records = _suite_cells.run(
        [
            cell
            for one in rounds
            for cell in _suite_cells.plan(
                checkpoints, one.trials, one.delays, one.methods, jitter_steps=one.jitter_steps
            )
        ],
        checkpoints,
        actuators,
        work / "cells.jsonl",
        workers=len(os.sched_getaffinity(0)),
        say=say,
    )
    pools = _suite_figures.pool(records)
    drawn = sorted({delay for one in rounds if not one.jitter_steps for delay in one.delays})
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        for path in _suite_plots.draw(pools, drawn, plots):
            say(f"wrote {path}")
    for jitter_steps in sorted({one.jitter_steps for one in rounds}):
        delays = sorted({delay for one in rounds if one.jitter_steps == jitter_steps for delay in one.delays})
        longer = f", up to {jitter_steps} steps longer" if jitter_steps else ""
        say(f"\nsuccess, mean over the tasks{longer}\n")
        say(_suite_figures.table(pools, delays, ALL, jitter=jitter_steps))
    return {
        **_suite_figures.headline(pools),
        "identify": identified,
        "cells": [pool.figures() for pool in pools.values()],
        "step_clock": _cost(records, time.monotonic() - began_s),
    }


def _vjp_error(checkpoints: Checkpoints) -> float:
    """How far the guidance of RTC is from finite differences, with the policy of the first seed."""
    from lowlat_nodes.train.guidance import vjp_error

    return vjp_error(checkpoints.path("base", checkpoints.seeds[0]))


def _wall_clock(quick: bool) -> dict[str, Any]:
    """What takes real time: nodes and their processes over DDS, one run after the other."""
    events, fewer, lights = (40, 8, 12) if quick else (300, 40, 100)
    latencies = ("log_normal",) if quick else tuple(_wall.LATENCIES)
    say("reactions at VLASH's setting, on real nodes")
    published = _reaction.reaction(AT_PUBLISHED, events=events, fewer_events=fewer)
    say("reactions to the lights of the demo")
    demo = _wall.light_reactions(("sync", "vlash", "ours"), lights=lights)
    say("lights under other latencies")
    cells = _wall.wall(ON_NODES, lights=8 if quick else 40, latencies=latencies)
    return {"reaction": {**published, **demo}, "wall": cells}


def _training(quick: bool) -> dict[str, Any]:
    """What a training step gains where one observation serves all its delay offsets."""
    figures = shared_observation.run(rounds=5 if quick else 15)
    return {
        "shared_observation_speedup": figures.pop("shared_observation_speedup"),
        "shared_observation": figures,
    }


def _cost(records: Mapping[Cell, Mapping[str, Any]], took_s: float) -> dict[str, Any]:
    steps, cpu_s = (sum(record[name] for record in records.values()) for name in ("steps", "cpu_s"))
    return {"took_s": took_s, "cpu_s": cpu_s, "steps": steps, "steps_per_cpu_s": steps / cpu_s}


def _setting(quick: bool, checkpoints: Checkpoints) -> dict[str, Any]:
    return {
        "quick": quick,
        "training_seeds": list(checkpoints.seeds),
        "trials_per_series": SERIES,
        "step_ms": STEP_NS * 1e-6,
        "methods": {name: method.summary for name, method in METHODS.items()},
    }


def _machine() -> dict[str, Any]:
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def say(line: str) -> None:
    """Print a line for whoever waits."""
    print(line, file=sys.stderr, flush=True)
