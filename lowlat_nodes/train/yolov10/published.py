# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The names of weights in published YOLOv10 checkpoints, and ours for the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.yolov10.blocks import (
    Attention,
    Bottleneck,
    C2f,
    CompactBlock,
    Conv,
    Downsample,
    LargeKernel,
    PartialAttention,
    PoolPyramid,
)
from lowlat_nodes.train.yolov10.head import BINS
from lowlat_nodes.train.yolov10.model import YoloV10

_PREFIXES: Final = ("model.model.", "model.")  # the first where a wrapper was saved, as on Hugging Face
_BINS: Final = "23.dfl.conv.weight"  # 0 to 15, constants kept as weights

_LAYERS: Final[Mapping[str, str]] = {
    "backbone.stem": "0",
    "backbone.down2": "1",
    "backbone.stage2": "2",
    "backbone.down3": "3",
    "backbone.stage3": "4",
    "backbone.down4": "5",
    "backbone.stage4": "6",
    "backbone.down5": "7",
    "backbone.stage5": "8",
    "backbone.pool": "9",
    "backbone.attention": "10",
    "neck.top_down4": "13",
    "neck.top_down3": "16",
    "neck.down4": "17",
    "neck.bottom_up4": "19",
    "neck.down5": "20",
    "neck.bottom_up5": "22",
    "head.one_to_many.distances": "23.cv2",
    "head.one_to_many.scores": "23.cv3",
    "head.one_to_one.distances": "23.one2one_cv2",
    "head.one_to_one.scores": "23.one2one_cv3",
}
"""Our module: its place in the published plan, where upsampling and concatenation count too."""

_CHILDREN: Final[Mapping[type[nn.Module], Mapping[str, str]]] = {
    Conv: {"norm": "bn"},
    Bottleneck: {"first": "cv1", "second": "cv2"},
    LargeKernel: {"wide": "conv", "narrow": "conv1"},
    CompactBlock: {"layers": "cv1"},
    C2f: {"split": "cv1", "blocks": "m", "merge": "cv2"},
    Downsample: {"pointwise": "cv1", "depthwise": "cv2"},
    PoolPyramid: {"shrink": "cv1", "merge": "cv2"},
    Attention: {"project": "qkv", "place": "pe", "merge": "proj"},
    PartialAttention: {"split": "cv1", "attention": "attn", "feed_forward": "ffn", "merge": "cv2"},
}
"""Block: what its children are called in published checkpoints, where that differs."""


def published_names(model: YoloV10) -> dict[str, str]:
    """Return the published name of each weight and buffer, without the prefix, by ours."""
    return {
        ours: theirs
        for module, layer in _LAYERS.items()
        for ours, theirs in _names(model.get_submodule(module), module, layer)
    }


def _names(module: nn.Module, ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for name, _ in own:
        yield f"{ours}.{name}", f"{theirs}.{name}"
    called = _CHILDREN.get(type(module), {})
    for name, child in module.named_children():
        yield from _names(child, f"{ours}.{name}", f"{theirs}.{called.get(name, name)}")


def names_in(weights: Mapping[str, Tensor], model: YoloV10) -> dict[str, str]:
    """Return our name of each weight and buffer, by its name in a file that has published names or ours."""
    prefix = _prefix(weights)
    if prefix is None:
        return {name: name for name in model.state_dict()}
    return {prefix + theirs: ours for ours, theirs in published_names(model).items()}


def without_bins(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the bins of box distances, which published checkpoints keep and ours do not.

    Raises ConfigurationError if a published checkpoint lacks them or has others than the paper's.
    """
    left, prefix = dict(weights), _prefix(weights)
    if prefix is None:
        return left
    bins = left.pop(prefix + _BINS, None)
    if bins is None or not torch.equal(bins.flatten().float(), torch.arange(float(BINS))):
        came = "nothing" if bins is None else f"{bins.flatten()[:4].tolist()} ..."
        raise ConfigurationError(
            f"{prefix + _BINS}: expected the numbers 0 to {BINS - 1}, as in every YOLOv10, got {came}"
        )
    return left


def to_published(model: YoloV10) -> dict[str, Tensor]:
    """Return the weights and buffers of a network under published names."""
    names, prefix = published_names(model), _PREFIXES[-1]
    made = {prefix + names[name]: value for name, value in model.state_dict().items()}
    return {**made, prefix + _BINS: torch.arange(float(BINS)).reshape(1, BINS, 1, 1)}


def _prefix(weights: Mapping[str, Tensor]) -> str | None:
    return next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in weights)), None)
