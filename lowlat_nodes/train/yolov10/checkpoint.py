# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks from checkpoints, published ones and our own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.yolov10.model import YoloV10
from lowlat_nodes.train.yolov10.published import names_in, without_bins
from lowlat_nodes.train.yolov10.scales import Scale
from lowlat_nodes.train.yolov10.weights import read_weights

_COUNTER: Final = ".num_batches_tracked"  # of batch normalisation; nothing reads it, and some files lack it
_CLASSES: Final = "head.one_to_many.scores.0.2.bias"
_SHOWN: Final = 3


def load_checkpoint(path: Path, scale: Scale) -> YoloV10:
    """Read a network of a scale, in evaluation mode; the file says how many classes it has.

    The file is a safetensors file or a plain state dict of torch, under the names of published checkpoints
    or of `YoloV10.state_dict()`. Raises ConfigurationError unless names and shapes are exactly the scale's
    and every number is finite.
    """
    try:
        return _load(read_weights(path), scale)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def save_checkpoint(model: YoloV10, path: Path) -> None:
    """Write a network as a state dict that `load_checkpoint` reads; a file that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    torch.save(model.state_dict(), partial)
    partial.replace(path)


def _load(found: Mapping[str, Tensor], scale: Scale) -> YoloV10:
    weights = without_bins(found)
    with torch.device("meta"):
        model = YoloV10(scale, 1)
    names = names_in(weights, model)
    _check_names(weights, names, scale)
    given = {ours: weights[name] for name, ours in names.items() if not name.endswith(_COUNTER)}
    with torch.device("meta"):
        model = YoloV10(scale, given[_CLASSES].numel())
    expected = model.state_dict()
    for name, ours in names.items():
        if ours in given:
            _check_value(name, given[ours], expected[ours], scale)
    counters = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith(_COUNTER)}
    model.to_empty(device="cpu").load_state_dict(given | counters)
    return model.eval()


def _check_names(weights: Collection[str], names: Collection[str], scale: Scale) -> None:
    missing = [name for name in names if name not in weights and not name.endswith(_COUNTER)]
    extra = [name for name in weights if name not in names]
    if missing or extra:
        raise ConfigurationError(
            f"expected the {len(names)} weights and buffers of YOLOv10-{scale.name.upper()}, missing: "
            f"{_some(missing)}, unknown: {_some(extra)}; is it of another scale, or fused?"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"{name!r:.80}" for name in names[:_SHOWN]) + more or "none"


def _check_value(name: str, value: Tensor, expected: Tensor, scale: Scale) -> None:
    if value.shape != expected.shape:
        raise ConfigurationError(
            f"{name!r}: expected shape {list(expected.shape)} of YOLOv10-{scale.name.upper()}, got "
            f"{list(value.shape)}; is it of another scale?"
        )
    if not torch.isfinite(value).all():
        raise ConfigurationError(f"{name!r}: expected finite numbers, got NaN or infinity")
