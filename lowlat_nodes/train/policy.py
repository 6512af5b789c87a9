# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train policy`: demonstrations, training and export of the policies that the benchmark compares."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from lowlat_nodes.inference.tokens import SCHEME
from lowlat_nodes.sim import insertion, interception
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.sim.reaction import task_text
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.train.card import write_card

if TYPE_CHECKING:
    from lowlat_nodes.train.corrector import Corrector
    from lowlat_nodes.train.flow import Encoder, Head
    from lowlat_nodes.train.stages import TrainConfig
    from lowlat_nodes.train.variants import Lessons

MAX_OFFSET: Final = 10  # action periods: 8 of delay and 2 of the image's age


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def demonstrate(images: int, *, seed: int, horizon: int) -> Lessons:
    """Collect demonstrations of all tasks, `images` of each, with the plan for every state."""
    from lowlat_nodes.train.labels import label_chunks
    from lowlat_nodes.train.rollouts import Demonstrations, collect
    from lowlat_nodes.train.scenarios import SCENARIOS
    from lowlat_nodes.train.variants import Lessons

    parts = [collect(task, images, seed=seed, max_offset=MAX_OFFSET, progress=_say) for task in SCENARIOS]
    data = Demonstrations.concatenate(parts)
    experts = [scenario.expert for scenario in SCENARIOS.values()]
    chunks = label_chunks(data, experts, horizon=horizon)
    return Lessons(data, chunks, experts[0].action_dt_ns * 1e-9)


@dataclass(frozen=True)
class Trained:
    """What a seed ends in: networks and their last losses by name, those of the first stage included."""

    encoder: Encoder
    heads: Mapping[str, Head]
    correctors: Mapping[str, Corrector]
    losses: Mapping[str, float]


def train(lessons: Lessons, config: TrainConfig, names: Sequence[str], checkpoints: Path) -> Trained:
    """Train variants and correctors by their names, and whatever those need.

    A run that was cut goes on from the checkpoints.
    """
    from lowlat_nodes.train import stages
    from lowlat_nodes.train.variants import CORRECTED, VARIANTS

    def at(name: str) -> Path:
        return checkpoints / f"{name}.npz"

    encoder, first = stages.first_stage(lessons, config, at("first"), _say)
    features = functools.cache(lambda: stages.views(encoder, lessons, config))
    needed = [name for name in VARIANTS if name in {*names, *(CORRECTED.get(wanted) for wanted in names)}]
    heads = {
        name: stages.second_stage(name, lessons, first, features, config, at(name), _say) for name in needed
    }
    correctors = {
        name: stages.corrector_stage(name, lessons, heads[CORRECTED[name]], features, config, at(name), _say)
        for name in CORRECTED
        if name in names
    }
    losses = {name: stages.last_loss(at(name)) for name in ("first", *heads, *correctors)}
    return Trained(encoder, heads, correctors, losses)


def export(trained: Trained, lessons: Lessons, folder: Path, *, ship: bool = False) -> dict[str, float]:
    """Write the networks as ONNX files; return the largest error of each against torch in rad.

    With `ship` the files are `table_NAME.onnx` with weights as float16, else `NAME.onnx`, with the encoder
    and what comes after it once more in `parts`: then one encoded image serves many heads.
    """
    from lowlat_nodes.train.export import export_corrector, export_encoder, export_policy

    max_offset, action_dt_ns = lessons.data.max_offset, round(lessons.period_s * 1e9)

    def write(name: str, path: Path, encoder: Encoder | None) -> float:
        corrector = trained.correctors.get(name)
        if corrector is None:
            return export_policy(
                name,
                trained.heads[name],
                path,
                encoder=encoder,
                max_offset=max_offset,
                action_dt_ns=action_dt_ns,
                compact=ship,
            )
        return export_corrector(
            name,
            corrector,
            path,
            encoder=encoder,
            max_offset=max_offset,
            action_dt_ns=action_dt_ns,
            compact=ship,
        )

    errors = {}
    for name in (*trained.heads, *trained.correctors):
        path = folder / f"{'table_' * ship}{name}.onnx"
        errors[name] = write(name, path, trained.encoder)
        if not ship:
            write(name, folder / "parts" / f"{name}.onnx", None)
        _say(f"{path}: differs from torch by at most {errors[name]:.1e} rad")
    if not ship:
        export_encoder(trained.encoder, folder / "parts" / "encoder.onnx")
    return errors


def ship(trained: Trained, lessons: Lessons, config: TrainConfig, folder: Path) -> Path:
    """Write the networks for the package and their card, and return the path of the card."""
    import onnxruntime
    import torch

    from lowlat_nodes.train.scenarios import SCENARIOS
    from lowlat_nodes.train.variants import CORRECTED, VARIANTS

    errors = export(trained, lessons, folder, ship=True)
    images = len(lessons.chunks) // len(SCENARIOS)
    weights = (*trained.encoder.parameters(), *trained.heads["base"].parameters())
    return write_card(
        folder,
        [folder / f"table_{name}.onnx" for name in (*VARIANTS, *CORRECTED)],
        {
            "command": f"lowlat train policy --seed {config.seed} --images {images} --steps {config.steps} "
            f"--variant-steps {config.variant_steps}",
            "seed": config.seed,
            "libraries": f"torch {torch.__version__}, numpy {np.__version__}, "
            f"onnxruntime {onnxruntime.__version__}",
            "parameters": sum(weight.numel() for weight in weights),
            "joints": ", ".join(JOINT_NAMES),
            "tokens": SCHEME,
            "tasks": ", ".join(
                f'"{text}"' for text in (task_text("COLOUR"), interception.TEXT, insertion.TEXT)
            ),
            "max_offset": lessons.data.max_offset,
            "euler": config.network.steps,
            "images": images,
            "steps": config.steps,
            "batch": config.batch,
            "draws": config.draws,
            "variant_steps": config.variant_steps,
            "variant_batch": config.variant_batch,
            "corrector_batch": config.corrector_batch,
            "losses": "\n".join(f"| {name} | {loss:.5f} |" for name, loss in trained.losses.items()),
            "rounding": max(errors.values()),
        },
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Train the policies and correctors that the benchmark compares, from nothing, on the same data."""
    parser = argparse.ArgumentParser(prog="lowlat train policy", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("trained"), help="gets a folder for each seed")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="of weights and batches")
    parser.add_argument("--data-seed", type=int, default=0, help="of the demonstrations")
    parser.add_argument("--images", type=int, default=40_000, help="for each of the three tasks")
    parser.add_argument("--steps", type=int, default=None, help="of encoder and first head")
    parser.add_argument("--variant-steps", type=int, default=None, help="of each variant")
    parser.add_argument("--variant", action="append", help="train only these; default: all")
    parser.add_argument(
        "--ship", type=Path, help="a folder for smaller files of the first seed and their card"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    options = parser.parse_args(argv)
    for module in ("torch", "onnx", "mujoco"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra="train")
    import torch

    from lowlat_nodes.train.stages import TrainConfig
    from lowlat_nodes.train.variants import CORRECTED, VARIANTS, check_names

    names = check_names(options.variant or [*VARIANTS, *CORRECTED])
    if options.ship and set(names) != {*VARIANTS, *CORRECTED}:
        parser.error("--ship needs all variants: leave --variant out")
    torch.set_num_threads(options.threads)
    given = {"steps": options.steps, "variant_steps": options.variant_steps}
    config = TrainConfig(**{name: value for name, value in given.items() if value is not None})
    began = time.monotonic()
    lessons = demonstrate(options.images, seed=options.data_seed, horizon=config.network.horizon)
    _say(f"{len(lessons.chunks)} images in {time.monotonic() - began:.0f} s")
    for seed in options.seed:
        seeded, out = replace(config, seed=seed), options.out / f"seed{seed}"
        trained = train(lessons, seeded, names, out / "checkpoints")
        export(trained, lessons, out)
        if options.ship and seed == options.seed[0]:
            _say(f"{ship(trained, lessons, seeded, options.ship)} written")
    _say(f"done in {time.monotonic() - began:.0f} s")
    return 0
