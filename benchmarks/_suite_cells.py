# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The cells of the control suite in simulated time: what is played, in parallel, and kept as it is done."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from lowlat_nodes.control.actuator import ActuatorModel, load_actuators
from lowlat_nodes.control.policies.corrector import OnnxCorrector
from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.split import CachedEncoder, SplitModel
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.train.evaluate import SERIES, TASKS, draw
from lowlat_nodes.train.figures import Figures
from lowlat_nodes.train.methods import METHODS
from lowlat_nodes.train.sights import ChunkCorrector, from_corrector, from_policy
from lowlat_nodes.train.step_delay import play

TRIAL_SEED: Final = 100_000
"""Trials are drawn from here on, far from the seeds of the training data."""

FORMAT: Final = 1
"""Of the kept records; another one is played again."""


@dataclass(frozen=True)
class Cell:
    """A share of a cell: one task and method with the policies of one training seed.

    Attributes:
        task: One of `train.evaluate.TASKS`.
        method: One of `train.methods.METHODS`.
        delay_steps: How long inferences take.
        jitter_steps: Up to how much longer.
        seed: Of the training; every seed plays trials of its own, the same ones with every method.
        trials: How many.
    """

    task: str
    method: str
    delay_steps: int
    jitter_steps: int
    seed: int
    trials: int


@dataclass(frozen=True)
class Checkpoints:
    """Where the trained policies are: `pattern` with the training seed and the variant filled in."""

    pattern: str
    seeds: tuple[int, ...]

    def path(self, variant: str, seed: int) -> Path:
        """Return the file of a variant."""
        return Path(self.pattern.format(seed=seed, variant=variant))

    def missing(self) -> list[Path]:
        """Return the files that the methods need and that are not there."""
        variants = {method.policy for method in METHODS.values()}
        variants |= {method.corrector for method in METHODS.values() if method.corrector}
        paths = [self.path(variant, seed) for seed in self.seeds for variant in sorted(variants)]
        return [path for path in paths if not path.is_file()]


def plan(
    checkpoints: Checkpoints,
    trials: int,
    delays: Sequence[int],
    methods: Sequence[str],
    *,
    jitter_steps: int = 0,
) -> list[Cell]:
    """Return the shares of the cells of all tasks.

    Args:
        checkpoints: The trained policies.
        trials: Of each cell, pooled over the seeds.
        delays: In steps.
        methods: Names of methods.
        jitter_steps: By how much longer inferences may take.
    """
    share = -(-trials // (SERIES * len(checkpoints.seeds))) * SERIES
    return [
        Cell(task, method, delay, jitter_steps, seed, share)
        for delay in delays
        for task in TASKS
        for method in methods
        for seed in checkpoints.seeds
    ]


def alike(cell: Cell) -> Cell:
    """Return the cell that is the same step by step, possibly the same one.

    Where inference takes no time, nothing tells strategies apart that ask the same policy at every step.
    """
    if cell.delay_steps or cell.jitter_steps or not METHODS[cell.method].plain:
        return cell
    policy = METHODS[cell.method].policy
    first = next(name for name, method in METHODS.items() if method.plain and method.policy == policy)
    return replace(cell, method=first)


def run(
    cells: Sequence[Cell],
    checkpoints: Checkpoints,
    actuators: Path,
    kept: Path,
    *,
    workers: int,
    say: Callable[[str], None],
) -> dict[Cell, dict[str, Any]]:
    """Play all cells that were not yet played and return the records of all.

    Args:
        cells: What to play.
        checkpoints: The trained policies.
        actuators: The drive model that the roll-forwards get.
        kept: A file to which every record is added as it is done, and from which those of an interrupted run
            are taken if nothing that they depend on has changed.
        workers: How many processes.
        say: Hears about progress.
    """
    keys = {_key(cell, checkpoints, actuators): cell for cell in dict.fromkeys(map(alike, cells))}
    done = {keys[key]: record for key, record in _kept(kept) if key in keys}
    left = [(key, cell) for key, cell in keys.items() if cell not in done]
    say(f"{len(left)} of {len(keys)} cells to play")
    began_s = time.monotonic()
    with ProcessPoolExecutor(workers, initializer=_one_thread) as pool, kept.open("a") as file:
        playing = {pool.submit(play_cell, cell, checkpoints, actuators): (key, cell) for key, cell in left}
        for number, future in enumerate(as_completed(playing), 1):
            key, cell = playing[future]
            done[cell] = future.result()
            file.write(json.dumps({"key": key, "record": done[cell]}) + "\n")
            file.flush()
            if number % 20 == 0 or number == len(left):
                took_s = time.monotonic() - began_s
                all_s = took_s / number * len(left)
                say(f"{number} of {len(left)} cells, {took_s:.0f} of about {all_s:.0f} s")
    return {cell: {**done[alike(cell)], "method": cell.method} for cell in cells}


def play_cell(cell: Cell, checkpoints: Checkpoints, actuators: Path) -> dict[str, Any]:
    """Play a share of a cell and return its record, as JSON has it."""
    method = METHODS[cell.method]
    how = replace(method.execution(cell.delay_steps, cell.jitter_steps), actuators=_drives(actuators))
    corrector = None
    if method.corrector:
        corrector = _corrector(
            checkpoints.path(method.corrector, cell.seed), checkpoints.path(method.policy, cell.seed)
        )
    policy = from_policy(_policy(checkpoints.path(method.policy, cell.seed), method.guidance))
    first = TRIAL_SEED + 10_000 * cell.seed
    figures = play(draw(cell.task, cell.trials, first), policy, how, corrector=corrector, seed=first)
    return to_record(cell, figures)


def to_record(cell: Cell, figures: Figures) -> dict[str, Any]:
    """Return what is kept of a share of a cell."""
    won = [trial.success for trial in figures.trials]
    reaction_ms = figures.reaction_ns * 1e-6
    return {
        **asdict(cell),
        "trials": len(won),
        "series": [sum(won[at : at + SERIES]) for at in range(0, len(won), SERIES)],
        "reaction_ms": np.round(reaction_ms[~np.isnan(reaction_ms)], 3).tolist(),
        "reactions_missed": figures.reactions_missed,
        "completion_ms": [
            round(trial.completion_ns * 1e-6, 3)
            for trial in figures.trials
            if trial.completion_ns is not None
        ],
        "jerk_m_s3": figures.jerk_m_s3,
        "boundary_jump_p50_rad": float(np.median(figures.boundary_jump_rad)),
        "boundary_jump_p95_rad": figures.boundary_jump_rad_p95,
        "held_steps": figures.held_steps,
        "steps": figures.steps,
        "inferences": figures.inferences,
        "cpu_s": figures.cpu_s,
    }


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.nice(5)


def _key(cell: Cell, checkpoints: Checkpoints, actuators: Path) -> str:
    """Return what the record of a cell depends on, except for the code."""
    method = METHODS[cell.method]
    files = [checkpoints.path(method.policy, cell.seed), actuators]
    if method.corrector:
        files.append(checkpoints.path(method.corrector, cell.seed))
    how = repr(method.execution(cell.delay_steps, cell.jitter_steps))
    parts = [str(FORMAT), json.dumps(asdict(cell)), how, method.guidance, *(_sha256(path) for path in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _kept(path: Path) -> list[tuple[str, dict[str, Any]]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry: Mapping[str, Any] = json.loads(line)
        except ValueError:  # the run was interrupted as it wrote
            continue
        found.append((entry["key"], entry["record"]))
    return found


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _policy(path: Path, guidance: str) -> ExportedPolicy:
    return ExportedPolicy(path, guidance=guidance, model=_model(path))


@cache
def _corrector(path: Path, policy: Path) -> ChunkCorrector:
    return from_corrector(OnnxCorrector(path, _policy(policy, "vjp").spec, model=_model(path)))


def _model(path: Path) -> OnnxModel:
    """Return the graph of a policy; where training left its encoder apart, one that encodes a view once."""
    parts = path.parent / "parts"
    if not parts.is_dir():
        return OnnxModel(path)
    return SplitModel(_encoder(parts / "encoder.onnx"), OnnxModel(parts / path.name))


@cache
def _encoder(path: Path) -> CachedEncoder:
    return CachedEncoder(OnnxModel(path))


@cache
def _drives(path: Path) -> ActuatorModel:
    return load_actuators(path, JOINT_NAMES)
