# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train adapt`: an exported policy fitted to a robot, from a LeRobot dataset of it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.train import model_card
from lowlat_nodes.train.adapt_card import TEXT

EXIT_WORSE = 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Adapt a policy of `lowlat train policy` to a robot, with few new weights that are merged in the end."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parse(arguments)
    for module in ("torch", "onnx", "pyarrow", "peft"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra="finetune")
    import torch

    _check_new(options.output)
    torch.set_num_threads(options.threads)
    report = _adapt(options, shlex.join(["lowlat", "train", "adapt", *arguments]))
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(
            f"{report['policy']}: held-out error {report['before_rad']:.4f} rad before, "
            f"{report['after_rad']:.4f} rad after; {report['trained']} numbers trained"
        )
    if report["after_rad"] < report["before_rad"]:
        return 0
    _say("the held-out error did not fall: record more, or give fewer --steps or a lower --rank")
    return EXIT_WORSE


def _adapt(options: argparse.Namespace, command: str) -> dict[str, Any]:
    """Read, adapt, export; return what `--json` prints."""
    import onnxruntime
    import peft
    import torch

    from lowlat_nodes.train.adaptation import AdaptConfig, adapt
    from lowlat_nodes.train.adapters import AdapterConfig
    from lowlat_nodes.train.export import export_under
    from lowlat_nodes.train.loading import load_networks
    from lowlat_nodes.train.recorded import Recording
    from lowlat_nodes.train.requirements import Requirements
    from lowlat_nodes.transport.dataset import DatasetReader

    adapters = AdapterConfig(options.kind, options.rank, options.encoder)
    config = AdaptConfig(
        adapters, options.steps, options.batch, options.learning_rate, options.held_out, options.seed
    )
    policy = load_networks(options.policy)
    required = Requirements.of(policy)
    reader = DatasetReader(options.dataset)
    required.check(reader.layout, rename=options.rename_joints)
    camera = required.camera(reader.layout, options.camera)
    recording = Recording.read(reader, required, camera)
    made = adapt(policy, recording, config, _say)
    joints = required.names(reader.layout)
    changed = {"joint_names": ",".join(joints), "adapted_from": policy.sha256, "adapter": adapters.kind}
    rounding = export_under(
        {**policy.contract, **changed},
        policy.variant,
        policy.head,
        options.output,
        encoder=policy.encoder,
        compact=policy.compact,
    )
    ranked = adapters.kind != "ia3"
    facts = {
        "base": policy.path.name,
        "base_sha256": policy.sha256,
        "variant": policy.variant,
        "kind": adapters.kind,
        "steps": config.steps,
        "batch": config.batch,
        "learning_rate": config.learning_rate,
        "seed": config.seed,
        "dataset": options.dataset.name,
        "frames": len(recording.states),
        "fps": reader.layout.fps,
        "camera": camera,
        **asdict(made),
        "rounding_rad": rounding,
    }
    card = model_card.write(
        options.output,
        TEXT,
        {
            **facts,
            "command": command,
            "libraries": f"torch {torch.__version__}, peft {peft.__version__}, "
            f"onnxruntime {onnxruntime.__version__}",
            "joints": ", ".join(joints),
            "rank": f" of rank {adapters.rank}" if ranked else "",
            "parts": "head and encoder" if adapters.encoder else "head",
            "robot": f", of {reader.layout.robot_type}" if reader.layout.robot_type else "",
            "tasks": ", ".join(repr(task) for task in reader.tasks),
        },
    )
    return {
        "policy": str(options.output),
        "card": str(card),
        **facts,
        "rank": adapters.rank if ranked else None,
        "encoder": adapters.encoder,
        "joints": list(joints),
        "tasks": list(reader.tasks),
    }


def _check_new(out: Path) -> None:
    """Refuse what cannot be written before anything is read."""
    if out.suffix != ".onnx":
        raise ConfigurationError(f"{out}: expected the name of an .onnx file")
    for path in (out, out.with_suffix(".md")):
        if path.exists():
            raise ConfigurationError(f"{path}: exists already; choose another name or remove it")
    if not out.parent.is_dir():
        raise ConfigurationError(f"{out}: expected a folder that exists, got {str(out.parent)!r}")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lowlat train adapt", description=main.__doc__)
    parser.add_argument("policy", type=Path, metavar="POLICY.onnx", help="a policy of lowlat train policy")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a folder that lowlat dataset wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--kind", default="lora", metavar="KIND", help="lora, dora, loha, lokr or ia3 (lora)")
    parser.add_argument("--rank", type=int, default=8, help="of the adapters; ia3 has none (8)")
    parser.add_argument("--encoder", action="store_true", help="adapt the image encoder too")
    parser.add_argument("--steps", type=int, default=1000, help="gradient steps (1000)")
    parser.add_argument("--batch", type=int, default=256, help="samples in one of them (256)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="the highest (0.002)")
    parser.add_argument(
        "--held-out", type=float, default=0.1, metavar="SHARE", help="of episodes, to judge by (0.1)"
    )
    parser.add_argument("--camera", default="", metavar="NAME", help="the dataset's image, if it has several")
    parser.add_argument(
        "--rename-joints", action="store_true", help="take the dataset's joints for the policy's, in order"
    )
    parser.add_argument("--seed", type=int, default=0, help="of adapters, batches and held-out episodes (0)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(argv)
