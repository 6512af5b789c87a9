# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Three outputs with the best boxes of a set of queries: RT-DETR, D-FINE, DEIM."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.vision.layouts.graph import FLOATS, INTEGERS, Graph
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.placement import Rows


class Detr(Layout):
    """Labels int [1, n], boxes [1, n, 4], scores [1, n], boxes in px of a size that is an input.

    So RT-DETR (2304.08069), D-FINE (2410.13842), DEIM and DEIMv2 are exported. The size is int [1, 2], width
    and height; it is given as the input's own.
    """

    default_resize: ClassVar[str] = "stretch"

    def __init__(self, graph: Graph, outputs: list[str], names: tuple[str, ...], size: TensorSpec) -> None:
        super().__init__("detr", graph, outputs, names)
        self.feed = {size.name: np.array([[graph.width, graph.height]], size.dtype)}

    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        classes: NDArray[np.bool_] | None,  # noqa: ARG002 (left to _sound)
    ) -> Rows:
        scores = self._shaped(outputs[2], 0)
        labels, boxes = self._shaped(outputs[0], len(scores)), self._shaped(outputs[1], len(scores), 4)
        self.refused += int(np.count_nonzero(np.isnan(scores)))
        good = np.flatnonzero(scores >= threshold)
        good = good[np.argsort(-scores[good], kind="stable")]
        rows = np.empty((len(good), 6), np.float32)
        rows[:, :4] = boxes[good]
        rows[:, 4] = scores[good]
        rows[:, 5] = labels[good]
        return rows


def fit_detr(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    further = graph.further
    if len(further) != 1 or not is_size(further[0]) or (further[0].dtype not in INTEGERS and not forced):
        names = " and ".join(["an image", *(spec.name for spec in further)])
        return f"takes an image and a size, int [1, 2], this graph {names}"
    boxes = [spec for spec in graph.outputs if len(spec.shape) == 3 and spec.shape[2] in {0, 4}]
    flat = [spec for spec in graph.outputs if len(spec.shape) == 2]
    labels = [spec for spec in flat if spec.dtype in INTEGERS]
    if len(labels) != 1:
        labels = [spec for spec in flat if spec.name in {"labels", "classes"}]
    scores = [spec for spec in flat if spec not in labels and spec.dtype in FLOATS]
    if len(graph.outputs) != 3 or not len(boxes) == len(labels) == len(scores) == 1:
        return "has the outputs labels int [1, n], boxes [1, n, 4] and scores [1, n]"
    fetched = [labels[0].name, boxes[0].name, scores[0].name]
    return Detr(graph, fetched, graph.names.any, further[0])


def is_size(spec: TensorSpec) -> bool:
    """Return whether an input can be the width and height of an image, [1, 2]."""
    return len(spec.shape) == 2 and spec.shape[0] in {0, 1} and spec.shape[1] in {0, 2}
