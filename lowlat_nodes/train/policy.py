# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train policy`: demonstrations, training, export and evaluation of the reaction task's policy."""

from __future__ import annotations

import argparse
import copy
import importlib.util
import math
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.onnx import OnnxPolicy
from lowlat_nodes.control.policies.policy import Observation, Policy
from lowlat_nodes.inference.tokens import SCHEME, TOKENS
from lowlat_nodes.sim.camera import CameraConfig
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.sim.reaction import ScheduleConfig, task_text
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.train.card import write_card
from lowlat_nodes.train.evaluate import OF_ONE_POLICY, evaluate, table
from lowlat_nodes.train.expert import ExpertConfig, plan
from lowlat_nodes.train.rollouts import Demonstrations, collect
from lowlat_nodes.train.sights import from_policy

if TYPE_CHECKING:
    import torch

    from lowlat_nodes.train.flow import FlowPolicy


@dataclass(frozen=True)
class TrainConfig:
    """What determines a trained policy, together with the expert's configuration.

    `max_offset` is the largest time from image to assumed state, in action periods; each sample draws offsets
    uniform in 0 to `max_offset` (VLASH, arXiv 2512.01031) and `branches` of them share one encoded image.
    """

    seed: int = 0
    images: int = 50_000
    steps: int = 8_000
    batch: int = 96
    branches: int = 8
    max_offset: int = 12
    learning_rate: float = 2e-3
    average_decay: float = 0.998
    device: str = "cpu"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def train(config: TrainConfig, expert: ExpertConfig, data: Demonstrations) -> FlowPolicy:
    """Fit a policy to demonstrations and return the exponential average of its weights."""
    import torch

    from lowlat_nodes.train.flow import FlowPolicy

    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed + 1)
    net = FlowPolicy()
    _normalise(net, data, expert)
    net.to(config.device)
    average = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=1e-4)
    warm_up = max(1, min(200, config.steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: min((s + 1) / warm_up, 0.5 * (1.0 + math.cos(math.pi * s / config.steps)) + 1e-3),
    )
    started, smooth = time.monotonic(), math.nan
    for step in range(config.steps):
        image, tokens, states, targets = _batch(random, config, expert, data)
        features = net.perceive(image, tokens).repeat_interleave(config.branches, dim=0)
        loss = net.loss(net.from_targets(targets, states), features, states)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            decay = min(config.average_decay, (1 + step) / (10 + step))
            for kept, new in zip(average.parameters(), net.parameters(), strict=True):
                kept.lerp_(new, 1.0 - decay)
        value = float(loss.detach())
        smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
        if step % 100 == 99 or step + 1 == config.steps:
            _say(f"step {step + 1} of {config.steps}: loss {smooth:.5f}, {time.monotonic() - started:.0f} s")
    return average.eval()


def _batch(
    random: np.random.Generator, config: TrainConfig, expert: ExpertConfig, data: Demonstrations
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, tokens, and for each image `branches` states at random offsets with plans from there."""
    import torch

    rows = random.integers(len(data.images), size=config.batch)
    offsets = random.integers(config.max_offset + 1, size=(config.batch, config.branches))
    image = data.images[rows].astype(np.float32).transpose(0, 3, 1, 2)
    gain = random.uniform(0.85, 1.15, size=(config.batch, 1, 1, 1)).astype(np.float32)
    image = image * gain + random.normal(0.0, 2.0, size=image.shape).astype(np.float32)
    states = data.states[rows[:, None], offsets].reshape(-1, 6)
    targets = _plans(states, np.repeat(data.goal[rows], config.branches, axis=0), expert)
    return (
        torch.from_numpy(image.clip(0.0, 255.0)).to(config.device),
        torch.from_numpy(data.tokens[rows]).to(config.device),
        torch.from_numpy(states.astype(np.float32)).to(config.device),
        torch.from_numpy(targets.astype(np.float32)).to(config.device),
    )


def _plans(
    states: NDArray[np.float64], goals: NDArray[np.float64], expert: ExpertConfig
) -> NDArray[np.float64]:
    from lowlat_nodes.train.flow import FlowConfig

    return plan(states[:, :3], states[:, 3:], goals, FlowConfig().horizon, expert)


def _normalise(net: FlowPolicy, data: Demonstrations, expert: ExpertConfig) -> None:
    import torch

    sample = slice(0, 4000)
    states = data.states[sample, 0]
    relative = _plans(states, data.goal[sample], expert) - states[:, None, :3]
    net.position_mean.copy_(torch.from_numpy(states[:, :3].mean(0)))
    net.position_scale.copy_(torch.from_numpy(states[:, :3].std(0)))
    net.velocity_scale.copy_(torch.from_numpy(states[:, 3:].std(0)))
    net.action_scale.copy_(torch.from_numpy(np.sqrt((relative**2).mean(0))))


def export(net: FlowPolicy, path: Path, *, max_offset: int, action_dt_ns: int) -> float:
    """Write the policy as ONNX with its contract as metadata; return the largest error against torch, rad."""
    import onnx
    import onnxruntime
    import torch

    camera, config = CameraConfig(), net.config
    random = np.random.default_rng(0)
    feed = {
        "image": random.integers(0, 256, (1, camera.height_px, camera.width_px, 3), dtype=np.uint8),
        "state": random.normal(0.5, 0.5, (1, 2 * config.joints)).astype(np.float32),
        "tokens": random.integers(0, 2, (1, TOKENS)),
        "noise": random.standard_normal((1, config.horizon, config.joints)).astype(np.float32),
    }
    example = tuple(torch.from_numpy(value) for value in feed.values())
    net = net.to("cpu").eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch calls this exporter legacy; the other one needs onnxscript
        torch.onnx.export(
            net,
            example,
            str(path),
            input_names=list(feed),
            output_names=["actions"],
            dynamic_axes={name: {0: "batch"} for name in (*feed, "actions")},
            opset_version=17,
            dynamo=False,
        )
        expected = net(*example).numpy()
    model = onnx.load(path)
    contract = {
        "contract": "lowlat-policy-1",
        "joint_names": ",".join(JOINT_NAMES),
        "state_layout": "position,velocity",
        "state_units": "rad,rad/s",
        "action_kind": "absolute",
        "action_units": "rad",
        "action_dt_ns": str(action_dt_ns),
        "horizon": str(config.horizon),
        "image_encoding": "rgb8",
        "image_width_px": str(camera.width_px),
        "image_height_px": str(camera.height_px),
        "token_scheme": SCHEME,
        "noise": "standard_normal",
        "max_offset_steps": str(max_offset),
    }
    for key, value in contract.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return float(np.abs(session.run(["actions"], feed)[0] - expected).max())


def _latency_ms(policy: Policy) -> float:
    """Median time of one chunk."""
    camera = CameraConfig()
    image = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    observation = Observation(np.zeros(6, np.float32), {"image": image}, task_text("red"))
    times_ns = []
    for _ in range(50):
        started_ns = time.perf_counter_ns()
        policy.infer(observation)
        times_ns.append(time.perf_counter_ns() - started_ns)
    return float(np.median(times_ns)) * 1e-6


def _write_card(
    path: Path, net: FlowPolicy, config: TrainConfig, expert: ExpertConfig, *, targets: int, difference: float
) -> None:
    """Evaluate an exported policy and write its card."""
    import onnxruntime
    import torch

    policy = OnnxPolicy(path)
    seed, delay_steps = 1, 8
    methods = [method for method in OF_ONE_POLICY if method != "sync_short"]
    results = evaluate(
        from_policy(policy), "reaction", trials=targets, seed=seed, delay_steps=delay_steps, methods=methods
    )
    libraries = f"torch {torch.__version__}, numpy {np.__version__}, onnxruntime {onnxruntime.__version__}"
    period_ms = expert.action_dt_ns // 1_000_000
    write_card(
        path,
        {
            "command": f"lowlat train policy --seed {config.seed} --steps {config.steps} "
            f"--images {config.images}",
            "seed": config.seed,
            "libraries": libraries,
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
            "joints": ", ".join(JOINT_NAMES),
            "tokens": SCHEME,
            "max_offset": config.max_offset,
            "max_offset_ms": config.max_offset * period_ms,
            "euler": net.config.steps,
            "images": config.images,
            "steps": config.steps,
            "batch": config.batch,
            "branches": config.branches,
            "targets": targets,
            "window_ms": ScheduleConfig().window_ns // 1_000_000,
            "schedule_seed": seed,
            "delay_ms": delay_steps * period_ms,
            "table": table(results),
            "difference": difference,
            "latency_ms": _latency_ms(policy),
        },
    )
    _say(table(results))


def main(argv: Sequence[str] | None = None) -> int:
    """Train the reaction policy from nothing; write its ONNX file and its card."""
    defaults = TrainConfig()
    parser = argparse.ArgumentParser(prog="lowlat train policy", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/reach_flow.onnx"))
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--images", type=int, default=defaults.images, help="size of the data set")
    parser.add_argument("--targets", type=int, default=400, help="of the evaluation; 0 writes no card")
    parser.add_argument("--device", default=defaults.device, help="a torch device: cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of torch")
    options = parser.parse_args(argv)
    for module in ("torch", "onnx", "mujoco"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra="train")
    import torch

    torch.set_num_threads(options.threads)
    config = TrainConfig(seed=options.seed, images=options.images, steps=options.steps, device=options.device)
    expert = ExpertConfig()
    started = time.monotonic()
    data = collect(
        config.images, seed=config.seed, max_offset=config.max_offset, expert=expert, progress=_say
    )
    _say(f"{len(data.images)} images in {time.monotonic() - started:.0f} s")
    net = train(config, expert, data)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    difference = export(net, options.out, max_offset=config.max_offset, action_dt_ns=expert.action_dt_ns)
    _say(f"{options.out}: ONNX Runtime differs from torch by at most {difference:.1e} rad")
    if options.targets:
        _write_card(options.out, net, config, expert, targets=options.targets, difference=difference)
    _say(f"done in {time.monotonic() - started:.0f} s")
    return 0
