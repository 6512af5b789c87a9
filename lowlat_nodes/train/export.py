# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Trained networks as ONNX files: all normalisation and Euler steps inside, the contract as metadata."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.tokens import SCHEME, TOKENS
from lowlat_nodes.sim.camera import CameraConfig
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.train.corrector import PLANNED_ROWS, Corrector
from lowlat_nodes.train.flow import DELAY_ROWS, Encoder, FlowConfig, Head, Sight, shrink
from lowlat_nodes.train.guidance import guided_sample
from lowlat_nodes.train.variants import CORRECTED

OPSET: Final = 17


class _Plain(nn.Module):
    """A policy that is told nothing beside image, state and task."""

    inputs = ("state", "noise")

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, state: Tensor, noise: Tensor) -> Tensor:
        return self.head.sample(noise, features, state)


class _Delayed(nn.Module):
    """A policy that is told how many rows its image is older than its chunk."""

    inputs = ("state", "noise", "delay")

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, state: Tensor, noise: Tensor, delay: Tensor) -> Tensor:
        return self.head.sample(noise, features, state, delay / DELAY_ROWS)


class _Prefixed(nn.Module):
    """A policy that goes on from rows that are decided already."""

    inputs = ("state", "noise", "decided", "weights")

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(
        self, features: Tensor, state: Tensor, noise: Tensor, decided: Tensor, weights: Tensor
    ) -> Tensor:
        head = self.head
        mask = (weights > 0.5).to(noise.dtype)
        clean = mask.repeat_interleave(head.config.joints, dim=1) > 0.5
        goal = head.from_targets(decided, state)
        x = torch.where(clean, goal, noise.flatten(1))
        for step in range(head.config.steps):
            time = torch.full_like(x[:, :1], step / head.config.steps)
            x = x + (head(x, time, features, state, mask) - x) / (head.config.steps - step)
            x = torch.where(clean, goal, x)
        return torch.where(mask[..., None] > 0.5, decided, head.to_targets(x, state))


class _Guided(nn.Module):
    """A policy whose chunk is drawn towards rows that are decided already."""

    inputs = ("state", "noise", "decided", "weights", "jacobian")

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(
        self,
        features: Tensor,
        state: Tensor,
        noise: Tensor,
        decided: Tensor,
        weights: Tensor,
        jacobian: Tensor,
    ) -> Tensor:
        return guided_sample(self.head, noise, features, state, decided, weights, jacobian)


class _Seeing(nn.Module):
    """A network that takes features, behind the encoder."""

    def __init__(self, encoder: Encoder, inner: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.inner = inner

    def forward(self, image: Tensor, tokens: Tensor, *others: Tensor) -> Tensor:
        made: Tensor = self.inner(self.encoder(shrink(image), tokens), *others)
        return made


_KINDS: Final[Mapping[str, type[_Plain | _Delayed | _Prefixed | _Guided]]] = {
    "vlash": _Plain,
    "vlash_last_action": _Plain,
    "delay": _Delayed,
    "prefix": _Prefixed,
    "base": _Guided,
}
_DECIDED_AS: Final = {"prefix": "prefix", "base": "guidance"}


def _examples(config: FlowConfig) -> dict[str, np.ndarray]:
    """One input of each name; a batch of one."""
    camera, random = CameraConfig(), np.random.default_rng(0)
    chunk = (1, config.horizon, config.joints)
    return {
        "image": random.integers(0, 256, (1, camera.height_px, camera.width_px, 3), dtype=np.uint8),
        "tokens": random.integers(0, 2, (1, TOKENS)),
        "features": random.standard_normal((1, config.features)).astype(np.float32),
        "state": random.normal(0.5, 0.5, (1, 2 * config.joints)).astype(np.float32),
        "noise": random.standard_normal(chunk).astype(np.float32),
        "delay": np.full((1, 1), 4.0, dtype=np.float32),
        "decided": random.normal(0.5, 0.5, chunk).astype(np.float32),
        "weights": np.array([[1.0] * 4 + [0.0] * (config.horizon - 4)], dtype=np.float32),
        "jacobian": np.ones((1, 1), dtype=np.float32),
        "planned": random.normal(0.5, 0.5, (1, PLANNED_ROWS, config.joints)).astype(np.float32),
        "age": np.full((1, 1), 5.0, dtype=np.float32),
    }


def export_policy(
    name: str,
    head: Head,
    path: Path,
    *,
    encoder: Encoder | None,
    max_offset: int,
    action_dt_ns: int,
    compact: bool = False,
) -> float:
    """Write a variant of `variants.VARIANTS` as ONNX; return its largest error against torch in rad.

    With an encoder it takes `image` and `tokens`, without one `features` in their place. `compact` keeps the
    weights as float16, which is half the bytes and rounds them.
    """
    contract = _contract(head.config, max_offset, action_dt_ns) | {"variant": name}
    if name in _DECIDED_AS:
        contract["decided_as"] = _DECIDED_AS[name]
    return export_under(contract, name, head, path, encoder=encoder, compact=compact)


def export_under(
    contract: Mapping[str, str],
    name: str,
    head: Head,
    path: Path,
    *,
    encoder: Encoder | None,
    compact: bool,
) -> float:
    """Write a variant with the metadata of another file, else as `export_policy`."""
    policy = _KINDS[name](head)
    return _write(policy, policy.inputs, "actions", head.config, path, encoder, contract, compact)


def export_corrector(
    name: str,
    corrector: Corrector,
    path: Path,
    *,
    encoder: Encoder | None,
    max_offset: int,
    action_dt_ns: int,
    compact: bool = False,
) -> float:
    """Write a corrector of `variants.CORRECTED` as `export_policy` does a policy."""
    config = corrector.config
    contract = _contract(config, max_offset, action_dt_ns) | {
        "contract": "lowlat-corrector-1",
        "corrects": CORRECTED[name],
    }
    inputs = ("state", "planned", "age")
    return _write(corrector, inputs, "correction", config, path, encoder, contract, compact)


def export_encoder(encoder: Encoder, path: Path) -> float:
    """Write the encoder alone: `image` and `tokens` to `features`; return its largest error."""
    contract = {"contract": "lowlat-encoder-1", "token_scheme": SCHEME, "image_encoding": "rgb8"}
    return _write(
        Sight(encoder), ("image", "tokens"), "features", encoder.config, path, None, contract, False
    )


def _contract(config: FlowConfig, max_offset: int, action_dt_ns: int) -> dict[str, str]:
    camera = CameraConfig()
    return {
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


def _write(
    net: nn.Module,
    inputs: tuple[str, ...],
    output: str,
    config: FlowConfig,
    path: Path,
    encoder: Encoder | None,
    contract: Mapping[str, str],
    compact: bool,
) -> float:
    if encoder is not None:
        net, inputs = _Seeing(encoder, net), ("image", "tokens", *inputs)
    elif "image" not in inputs:
        inputs = ("features", *inputs)
    examples = _examples(config)
    feed = {name: examples[name] for name in inputs}
    tensors = tuple(torch.from_numpy(value) for value in feed.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    net = net.to("cpu", memory_format=torch.contiguous_format).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch calls this exporter legacy; the other one needs onnxscript
        torch.onnx.export(
            net,
            tensors,
            str(path),
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={name: {0: "batch"} for name in (*inputs, output)},
            opset_version=OPSET,
            dynamo=False,
        )
        expected = net(*tensors).numpy()
    model = onnx.load(path)
    if compact:
        _store_as_float16(model)
    for key, value in contract.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    made = OnnxModel(path, threads=1).run(feed, [output])[0]
    return float(np.abs(made - expected).max())


def _store_as_float16(model: onnx.ModelProto) -> None:
    """Keep float32 weights as float16 and widen them when the model is loaded."""
    graph = model.graph
    casts = []
    for item in graph.initializer:
        if item.data_type != onnx.TensorProto.FLOAT or np.prod(item.dims) < 64:
            continue
        name, wide = item.name, f"{item.name}.wide"
        narrow = numpy_helper.to_array(item).astype(np.float16)
        item.CopyFrom(numpy_helper.from_array(narrow, name))
        casts.append(helper.make_node("Cast", [name], [wide], to=onnx.TensorProto.FLOAT))
        for node in graph.node:
            for place, used in enumerate(node.input):
                if used == name:
                    node.input[place] = wide
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
