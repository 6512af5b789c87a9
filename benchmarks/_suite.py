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
from lowlat_nodes.benchmarks import _suite_actuators, _suite_cells, _suite_figures, _suite_plots
from lowlat_nodes.benchmarks._suite_cells import Cell, Checkpoints
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.evaluate import SERIES
from lowlat_nodes.train.methods import METHODS
from lowlat_nodes.train.step_delay import STEP_NS

PARTS: Final = ("step", "wall")
SEEDS: Final = (0, 1, 2)


@dataclass(frozen=True)
class Extent:
    """How much of the suite is played in simulated time.

    Attributes:
        trials: Of each cell, pooled over the training seeds.
        delays: Fixed delays in steps, of all methods.
        jittering: Delays that may be up to twice as long.
        beyond: Fixed delays beyond those of the training.
        methods: Names.
    """

    trials: int
    delays: tuple[int, ...]
    jittering: tuple[int, ...]
    beyond: tuple[int, ...]
    methods: tuple[str, ...]


FULL: Final = Extent(1000, (0, 1, 2, 4, 8), (2, 4), (12,), tuple(METHODS))
QUICK: Final = Extent(
    200, (0, 4, 8), (4,), (), tuple(name for name, method in METHODS.items() if method.headline)
)


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
            "`lowlat train policy --out FOLDER`; --quick takes the shipped ones"
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
            figures |= _step(QUICK if quick else FULL, checkpoints, work, plots)
    return figures | {"setting": _setting(quick, checkpoints), "machine": _machine()}


def _step(extent: Extent, checkpoints: Checkpoints, work: Path, plots: Path | None) -> dict[str, Any]:
    """The cells in simulated time."""
    began_s = time.monotonic()
    actuators = work / "actuators.yaml"
    identified = _suite_actuators.fit(work, actuators)
    cells = _suite_cells.plan(
        checkpoints,
        trials=extent.trials,
        delays=extent.delays,
        jittering=extent.jittering,
        beyond=extent.beyond,
        methods=extent.methods,
    )
    records = _suite_cells.run(
        cells,
        checkpoints,
        actuators,
        work / "cells.jsonl",
        workers=len(os.sched_getaffinity(0)),
        say=say,
    )
    pools = _suite_figures.pool(records)
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
        for path in _suite_plots.draw(pools, extent.delays, plots):
            say(f"wrote {path}")
    for title, delays, jitter in (
        ("fixed delays", (*extent.delays, *extent.beyond), 0),
        *((f"delays of {delay} to {2 * delay} steps", (delay,), delay) for delay in extent.jittering),
    ):
        say(f"\nsuccess, mean over the tasks, {title}\n\n")
        say(_suite_figures.table(pools, delays, extent.methods, jitter=jitter))
    return {
        **_suite_figures.headline(pools),
        "identify": identified,
        "cells": [pool.figures() for pool in pools.values()],
        "step_clock": _cost(records, time.monotonic() - began_s),
    }


def _cost(records: Mapping[Cell, Mapping[str, Any]], took_s: float) -> dict[str, Any]:
    steps, cpu_s = (sum(record[name] for record in records.values()) for name in ("steps", "cpu_s"))
    return {"took_s": took_s, "cpu_s": cpu_s, "steps": steps, "steps_per_cpu_s": steps / cpu_s}


def _setting(quick: bool, checkpoints: Checkpoints) -> dict[str, Any]:
    extent = QUICK if quick else FULL
    return {
        "quick": quick,
        "training_seeds": list(checkpoints.seeds),
        "trials_per_cell": extent.trials,
        "trials_per_series": SERIES,
        "step_ms": STEP_NS * 1e-6,
        "delays": list(extent.delays),
        "jittering": list(extent.jittering),
        "beyond_training": list(extent.beyond),
        "methods": {name: METHODS[name].summary for name in extent.methods},
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
