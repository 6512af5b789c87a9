# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train policy`: demonstrations, training and export of the policies that the benchmark compares."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lowlat_nodes.stream.errors import MissingExtra

if TYPE_CHECKING:
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


def train(lessons: Lessons, config: TrainConfig, names: Sequence[str], out: Path, *, compact: bool) -> None:
    """Train variants and correctors by their names and export them.

    Checkpoints stand in `out`/checkpoints; a run that was cut goes on from there.
    """
    from lowlat_nodes.train import stages
    from lowlat_nodes.train.export import export_corrector, export_encoder, export_policy
    from lowlat_nodes.train.variants import CORRECTED, VARIANTS

    checkpoints = out / "checkpoints"
    contract = {
        "max_offset": lessons.data.max_offset,
        "action_dt_ns": round(lessons.period_s * 1e9),
        "compact": compact,
    }
    encoder, first = stages.first_stage(lessons, config, checkpoints / "first.npz", _say)
    features = stages.views(encoder, lessons, config)
    export_encoder(encoder, config.network, out / "parts" / "encoder.onnx")
    heads = {}
    for name in [*VARIANTS, *CORRECTED]:
        if name not in names and name not in {CORRECTED.get(wanted) for wanted in names}:
            continue
        checkpoint = checkpoints / f"{name}.npz"
        if name in VARIANTS:
            head = stages.second_stage(name, lessons, first, features, config, checkpoint, _say)
            heads[name] = head
            errors = [
                export_policy(name, head, out / f"{name}.onnx", encoder=encoder, **contract),
                export_policy(name, head, out / "parts" / f"{name}.onnx", encoder=None, **contract),
            ]
        else:
            frozen = heads[CORRECTED[name]]
            net = stages.corrector_stage(name, lessons, frozen, features, config, checkpoint, _say)
            sizes = config.network
            errors = [
                export_corrector(net, sizes, out / f"{name}.onnx", encoder=encoder, **contract),
                export_corrector(net, sizes, out / "parts" / f"{name}.onnx", encoder=None, **contract),
            ]
        _say(f"{out / name}.onnx: differs from torch by at most {max(errors):.1e} rad")


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
    parser.add_argument("--compact", action="store_true", help="export weights as float16")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    options = parser.parse_args(argv)
    for module in ("torch", "onnx", "mujoco"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra="train")
    import torch

    from lowlat_nodes.train.stages import TrainConfig
    from lowlat_nodes.train.variants import CORRECTED, VARIANTS, check_names

    names = check_names(options.variant or [*VARIANTS, *CORRECTED])
    torch.set_num_threads(options.threads)
    given = {"steps": options.steps, "variant_steps": options.variant_steps}
    config = TrainConfig(**{name: value for name, value in given.items() if value is not None})
    began = time.monotonic()
    lessons = demonstrate(options.images, seed=options.data_seed, horizon=config.network.horizon)
    _say(f"{len(lessons.chunks)} images in {time.monotonic() - began:.0f} s")
    for seed in options.seed:
        out = options.out / f"seed{seed}"
        train(lessons, replace(config, seed=seed), names, out, compact=options.compact)
    _say(f"done in {time.monotonic() - began:.0f} s")
    return 0
