# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Exported policies as networks again, from the weights and the metadata in their ONNX files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.flow import Encoder, FlowConfig, Head
from lowlat_nodes.train.variants import VARIANTS

if TYPE_CHECKING:
    import onnx

_Net = TypeVar("_Net", bound=nn.Module)
_JOIN, _ROWS = "join.weight", "action_scale"


@dataclass(frozen=True, eq=False)
class PolicyNetworks:
    """What a file of `lowlat train policy` holds.

    Attributes:
        path: The file.
        sha256: Its digest.
        variant: Which of `variants.VARIANTS` it is. Files that do not say so and are told nothing beside
            image, state and task count as `vlash`.
        encoder: Its encoder, float32.
        head: Its head, float32.
        contract: The metadata.
        compact: Whether the weights are stored as float16.
    """

    path: Path
    sha256: str
    variant: str
    encoder: Encoder
    head: Head
    contract: Mapping[str, str]
    compact: bool


def load_networks(path: Path) -> PolicyNetworks:
    """Read a policy of `lowlat train policy` with its encoder.

    Raises ConfigurationError for any other file.
    """
    import onnx

    contract = OnnxModel(path).metadata  # refuses what is no model
    content = path.read_bytes()
    model = onnx.load_model_from_string(content)
    try:
        stored = _weights(model)
        config = _sizes(stored["encoder"], stored["head"], _euler_steps(model))
        encoder = _filled(Encoder, config, stored["encoder"])
        head = _filled(Head, config, stored["head"])
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ConfigurationError(
            f"{path}: expected the weights of a policy of lowlat train policy, encoder included: {error}"
        ) from error
    return PolicyNetworks(
        path,
        hashlib.sha256(content).hexdigest(),
        _variant(path, contract, config),
        encoder,
        head,
        contract,
        any(item.data_type == onnx.TensorProto.FLOAT16 for item in model.graph.initializer),
    )


def _weights(model: onnx.ModelProto) -> dict[str, dict[str, Tensor]]:
    """The weights of encoder and head by their names in there."""
    from onnx import numpy_helper

    stored: dict[str, dict[str, Tensor]] = {"encoder": {}, "head": {}}
    for item in model.graph.initializer:
        for part, weights in stored.items():
            _, found, name = item.name.partition(f"{part}.")
            if found:
                weights[name] = torch.from_numpy(numpy_helper.to_array(item).astype(np.float32))
    return stored


def _euler_steps(model: onnx.ModelProto) -> int:
    """How often the head is in the graph, by its last bias; that has a suffix where a cast widens it."""
    uses = [name for node in model.graph.node if node.op_type != "Cast" for name in node.input]
    return sum(name.removesuffix(".wide").endswith("head.out.bias") for name in uses)


def _sizes(encoder: Mapping[str, Tensor], head: Mapping[str, Tensor], steps: int) -> FlowConfig:
    horizon, joints = head[_ROWS].shape
    width, inputs = head[_JOIN].shape
    plain = FlowConfig(
        joints=joints,
        horizon=horizon,
        steps=steps,
        channels=len(encoder["see.bias"]),
        keypoints=len(encoder["locate.bias"]),
        words=encoder["embed.weight"].shape[1],
        width=width,
        blocks=sum(name.endswith(".rise.bias") for name in head),
    )
    return plain.taking(inputs)


def _filled(kind: type[_Net], config: FlowConfig, weights: Mapping[str, Tensor]) -> _Net:
    with torch.device("meta"):  # sizes that do not fit the weights are refused before they take memory
        net = kind(config)
    net.load_state_dict(weights, assign=True)
    return net


def _variant(path: Path, contract: Mapping[str, str], config: FlowConfig) -> str:
    told = {"guidance": "base", "prefix": "prefix"}.get(contract.get("decided_as", ""))
    name = contract.get("variant") or told or ("delay" if config.conditions else "vlash")
    if name not in VARIANTS or VARIANTS[name].conditions(config.horizon) != config.conditions:
        raise ConfigurationError(
            f"{path}: expected a policy of lowlat train policy, got one called {name!r:.40} with "
            f"{config.conditions} further inputs"
        )
    return name
