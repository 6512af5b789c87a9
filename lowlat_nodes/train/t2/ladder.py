# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The rungs of t2's compression, each trained on for a while from the same weights."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import nn
from torch.nn.utils import parametrize

from lowlat_nodes.train.t2.cluster import CLUSTERS, cluster
from lowlat_nodes.train.t2.examples import Examples
from lowlat_nodes.train.t2.fit import FitConfig, fit
from lowlat_nodes.train.t2.model import ScaledT2
from lowlat_nodes.train.t2.prune import prune
from lowlat_nodes.train.yolov10.fit import Budget


@dataclass(frozen=True)
class Rung:
    """What is done to the weights.

    Attributes:
        clustered: Which layers are clustered: none, the last as in the paper, or all.
        pruned: Whether half the weights of all layers are 0.
        int8: Whether the file has integer weights, as in the dynamic range quantisation of TensorFlow Lite.
        trained_on: Whether the weights are trained on, as all that are clustered or pruned are.
    """

    clustered: str = "none"
    pruned: bool = False
    int8: bool = False
    trained_on: bool = True


LADDER: Final = {
    "fp32": Rung(trained_on=False),
    "fp32_trained_on": Rung(),
    "last_clustered": Rung("last"),
    "all_clustered": Rung("all"),
    "pruned": Rung(pruned=True),
    "last_clustered_pruned": Rung("last", pruned=True),
    "all_clustered_pruned": Rung("all", pruned=True),
    "int8": Rung(int8=True, trained_on=False),
    "last_clustered_int8": Rung("last", int8=True),
}
"""By name; the last is what FINK deployed, and the second tells what training on does by itself."""

TRAINING_ON: Final = FitConfig(learning_rate=1e-3)


def compress(net: ScaledT2, rung: Rung, examples: Examples, seconds: float) -> ScaledT2:
    """Return a network with the weights of a rung; those of `int8` become integers in the file only.

    Args:
        net: Trained; it stays as it is.
        rung: What to do.
        examples: To train on with.
        seconds: How long, in CPU time.
    """
    made = copy.deepcopy(net)
    if not rung.trained_on:
        return made
    layers = [layer for layer in made.modules() if isinstance(layer, nn.Linear)]
    clustered = {"none": [], "last": [made.network.classify], "all": layers}[rung.clustered]
    for layer in clustered:
        cluster(layer, CLUSTERS - 1 if rung.pruned else CLUSTERS)  # 0 is one more value
    if rung.pruned:
        for layer in layers:
            prune(layer)
    fit(made, examples, TRAINING_ON, Budget(seconds))
    for layer in layers:
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return made


def quantise(source: Path, path: Path) -> None:
    """Write an ONNX file anew with integer weights, to which activations are quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It suggests, by the root logger, a pre-processing that changes nothing here.
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(source, path, weight_type=QuantType.QInt8)
    finally:
        root.setLevel(level)
