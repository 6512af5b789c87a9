# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which layers of a detector suffer from being quantised: one at a time, all others in floating point."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from lowlat_nodes.train.quantisation.gate import SURE
from lowlat_nodes.train.quantisation.samples import Sample
from lowlat_nodes.train.quantisation.seeing import detections, load
from lowlat_nodes.train.quantisation.static import Quantiser
from lowlat_nodes.vision.boxes import intersections_over_unions
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.placement import Rows


@dataclass(frozen=True)
class Layer:
    """How much one layer does.

    Attributes:
        name: Of the node.
        damage: What `damage` says of the model in which nothing else is quantised.
    """

    name: str
    damage: float


def rank(
    quantiser: Quantiser,
    layout: Layout,
    samples: Sequence[Sample],
    expected: Sequence[Rows],
    *,
    say: Callable[[str], None] = lambda _line: None,
) -> list[Layer]:
    """Return all layers, the worst first.

    Args:
        quantiser: Of the model.
        layout: Of the model.
        samples: A few images in which the model is sure of something.
        expected: What it finds in each, in floating point.
        say: Is told how far it is.
    """
    ranked = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one_layer.onnx"
        for number, name in enumerate(quantiser.layers, start=1):
            onnx.save(quantiser.quantised([name]), path)
            # OpenVINO takes ten times as long as ONNX Runtime to load a model, and sees the same.
            found = detections(load(path, "onnxruntime", layout), layout, samples)
            ranked.append(Layer(name, damage(expected, found)))
            if number % 10 == 0:
                say(f"{number} of {len(quantiser.layers)} layers measured")
    return sorted(ranked, key=lambda layer: -layer.damage)


def damage(expected: Sequence[Rows], found: Sequence[Rows]) -> float:
    """Return how far detections are from what was expected, from 0, the same, to 1, all lost.

    It is the mean, over all expected detections with a score of `SURE` or more, of what their best
    counterpart of the same class lacks: 1 - IoU * (1 - difference of the scores).
    """
    lacks = []
    for wanted, rows in zip(expected, found, strict=True):
        sure = wanted[wanted[:, 4] >= SURE].astype(np.float64)
        others = rows.astype(np.float64)
        worth = intersections_over_unions(sure[:, :4], others[:, :4]) * (
            1.0 - np.abs(sure[:, None, 4] - others[None, :, 4])
        )
        worth[sure[:, None, 5] != others[None, :, 5]] = 0.0
        lacks.append(1.0 - worth.max(axis=1, initial=0.0))
    all_lacks = np.concatenate(lacks) if lacks else np.empty(0)
    return float(all_lacks.mean()) if all_lacks.size else 0.0
