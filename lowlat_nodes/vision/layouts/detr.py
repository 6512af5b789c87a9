# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A set of queries, each a box and the scores of all classes: DETR and its descendants."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.vision.layouts.graph import FLOATS, INTEGERS, Graph
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.raw import to_corners
from lowlat_nodes.vision.layouts.topk import best_pairs
from lowlat_nodes.vision.placement import Rows


class Detr(Layout):
    """Labels int [1, n], boxes [1, n, 4], scores [1, n], boxes in px of a size that is an input.

    So RT-DETR (2304.08069), D-FINE (2410.13842), DEIM and DEIMv2 are exported. The size is int [1, 2], width
    and height; it is given as the input's own.

    Args:
        graph: As for every layout.
        outputs: Labels, boxes, scores.
        names: As for every layout.
        size: The input for the size.
    """

    default_resize: ClassVar[str] = "stretch"

    def __init__(self, graph: Graph, outputs: list[str], names: tuple[str, ...], size: TensorSpec) -> None:
        super().__init__("detr", graph, outputs, names)
        self.feed = {size.name: np.array([[graph.width, graph.height]], size.dtype)}

    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        limit: int,  # noqa: ARG002 (the graph has chosen the best)
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


class DetrLogits(Layout):
    """Boxes [1, n, 4] of centre, width and height from 0 to 1, and logits [1, n, classes].

    So Hugging Face's exporter leaves RT-DETR and D-FINE (pred_boxes, logits).

    Args:
        name: As for every layout.
        graph: As for every layout.
        outputs: Boxes, logits.
        names: As for every layout.
    """

    default_resize: ClassVar[str] = "stretch"

    def __init__(self, name: str, graph: Graph, outputs: list[str], names: tuple[str, ...]) -> None:
        super().__init__(name, graph, outputs, names)
        self._scale = np.array((graph.width, graph.height) * 2, np.float32)

    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        limit: int,
        classes: NDArray[np.bool_] | None,
    ) -> Rows:
        boxes = self._shaped(outputs[0], 0, 4)
        rows = self._best(boxes, self._shaped(outputs[1], len(boxes), 0), _logit(threshold), limit, classes)
        rows[:, 4] = 1.0 / (1.0 + np.exp(-rows[:, 4]))
        return rows

    def _best(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        threshold: np.float32,
        most: int,
        classes: NDArray[np.bool_] | None,
    ) -> Rows:
        """Return the best pairs of boxes [n, 4] and scores [n, classes]."""
        pairs = best_pairs(scores.T, threshold, most, classes)
        self.refused += pairs.refused
        rows = np.empty((len(pairs.boxes), 6), np.float32)
        rows[:, :4] = boxes[pairs.boxes]
        to_corners(rows)
        rows[:, :4] *= self._scale
        rows[:, 4] = pairs.scores
        rows[:, 5] = pairs.classes
        return rows


class RfDetr(DetrLogits):
    """As `DetrLogits`, with ImageNet's normalisation: RF-DETR's export (dets, labels), 2511.09554."""

    default_normalisation: ClassVar[str] = "imagenet"


class DetrRows(DetrLogits):
    """One output [1, n, 4 + classes]: centre, width and height from 0 to 1, scores that are no logits."""

    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        limit: int,
        classes: NDArray[np.bool_] | None,
    ) -> Rows:
        found = self._shaped(outputs[0], 0, 4 + len(self.names))
        return self._best(found[:, :4], found[:, 4:], threshold, limit, classes)


def _logit(score: np.float32) -> np.float32:
    logit: np.float32 = np.log(score) - np.log1p(-score)
    return logit


def fit_detr(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    sizes = [
        spec
        for spec in graph.further
        if len(spec.shape) == 2 and spec.shape[1] in {0, 2} and (spec.dtype in INTEGERS or forced)
    ]
    if len(graph.further) != 1 or len(sizes) != 1:
        return f"takes an image and a size, int [1, 2], this graph also {_names(graph.further) or 'nothing'}"
    boxes = [spec for spec in graph.outputs if len(spec.shape) == 3 and spec.shape[2] in {0, 4}]
    flat = [spec for spec in graph.outputs if len(spec.shape) == 2]
    labels = [spec for spec in flat if spec.dtype in INTEGERS]
    if len(labels) != 1:
        labels = [spec for spec in flat if spec.name in {"labels", "classes"}]
    scores = [spec for spec in flat if spec not in labels and spec.dtype in FLOATS]
    if len(graph.outputs) != 3 or not len(boxes) == len(labels) == len(scores) == 1:
        return "has the outputs labels int [1, n], boxes [1, n, 4] and scores [1, n]"
    names = graph.names.of(0)
    assert names is not None
    return Detr(graph, [labels[0].name, boxes[0].name, scores[0].name], names, sizes[0])


def fit_detr_logits(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    return _fit_two(DetrLogits, "detr_logits", graph, ("pred_boxes", "logits"), forced=forced)


def fit_rf_detr(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    return _fit_two(RfDetr, "rf_detr", graph, ("dets", "labels"), forced=forced)


def _fit_two(
    kind: type[DetrLogits], name: str, graph: Graph, expected: tuple[str, str], *, forced: bool
) -> Layout | str:
    if graph.further:
        return f"takes an image alone, this graph also {_names(graph.further)}"
    found = {spec.name: spec for spec in graph.outputs}
    if forced and len(graph.outputs) == 2 and set(found) != set(expected):
        boxes_first = sorted(graph.outputs, key=lambda spec: spec.shape[-1:] != (4,))
        found = dict(zip(expected, boxes_first, strict=True))
    if set(found) != set(expected):
        return f"has the outputs {' and '.join(expected)}, this graph {_names(graph.outputs)}"
    boxes, logits = (found[each] for each in expected)
    for spec, size in ((boxes, "4"), (logits, "classes")):
        if spec.dtype not in FLOATS or len(spec.shape) != 3 or (size == "4" and spec.shape[2] not in {0, 4}):
            return f"has float [1, n, {size}] for {spec.name}"
    columns = logits.shape[2]
    names = graph.names.of(columns)
    if names is None:
        return (
            f"has a column for each class, this graph {columns} for {graph.names.count} names; RF-DETR has "
            "one before those of a data set of one's own, which are numbered from 1, and may have one after"
        )
    return kind(name, graph, [boxes.name, logits.name], names)


def fit_detr_rows(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    if graph.further or len(graph.outputs) != 1:
        return "has an image for its input and one output"
    output = graph.outputs[0]
    if output.dtype not in FLOATS or len(output.shape) != 3 or output.shape[0] > 1 or output.shape[2] <= 4:
        return "is float [1, n, 4 + classes]"
    names = graph.names.of(output.shape[2] - 4)
    if names is None:
        return f"has 4 + {graph.names.count} columns for the {graph.names.count} names, not {output.shape[2]}"
    if not forced and not graph.is_rt_detr:
        if output.shape[2] == 6 or not graph.names.known:
            return "needs metadata that name the classes, and call the model an RT-DETR if there are two"
        if not output.shape[1] or graph.anchors_per_cell(output.shape[1]):
            return f"has a few hundred queries, not {output.shape[1] or 'an open number'}"
    return DetrRows("detr_rows", graph, [output.name], names)


def _names(specs: list[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs)
