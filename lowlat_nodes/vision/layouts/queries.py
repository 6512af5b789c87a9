# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A set of queries, each a box from 0 to 1 and the scores of all classes: what DETRs give in the end."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.vision.layouts.graph import FLOATS, Graph
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.table import Table

_QUERIES = 300  # of RT-DETR and D-FINE; DETR and YOLOS have 100


class DetrLogits(Table):
    """Boxes [1, n, 4] of centre, width and height, and logits of independent classes [1, n, classes].

    So Hugging Face's exporter leaves RT-DETR and D-FINE (pred_boxes, logits).
    """

    default_resize: ClassVar[str] = "stretch"
    activation: ClassVar[str] = "sigmoid"
    box_format: ClassVar[str] = "cxcywh"

    def _boxes_and_scores(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: float,  # noqa: ARG002 (for those that can leave boxes out)
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        boxes = self._shaped(outputs[0], 0, 4)
        return boxes, self._shaped(outputs[1], len(boxes), 0)[:, : len(self.names)]

    def _unit(self) -> tuple[float, float]:
        return self.image.width, self.image.height


class RfDetr(DetrLogits):
    """As `DetrLogits`, with ImageNet's normalisation: RF-DETR's export (dets, labels), 2511.09554.

    A model for COCO has 91 classes, numbered by id; one for other data a last one for the background.
    """

    default_normalisation: ClassVar[str] = "imagenet"


class DetrRows(DetrLogits):
    """One output [1, n, 4 + classes]: centre, width and height, and scores from 0 to 1."""

    activation: ClassVar[str] = "none"

    def _boxes_and_scores(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: float,  # noqa: ARG002 (as in the class above)
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = self._shaped(outputs[0], 0, 4 + len(self.names))
        return found[:, :4], found[:, 4:]


def fit_detr_logits(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    found = _boxes_and_logits(graph, ("pred_boxes", "logits"), forced=forced)
    if isinstance(found, str):
        return found
    boxes, logits = found
    names = graph.names.of(logits.shape[2])
    if names is None:
        return f"has as many columns as classes, this graph {logits.shape[2]} for {graph.names.count} names"
    if not forced and not graph.names.known and logits.shape[1] != _QUERIES:
        return (
            f"has {_QUERIES} queries (RT-DETR, D-FINE), or as many names as columns; this graph may be a "
            "DETR or YOLOS, which have a column for nothing"
        )
    return DetrLogits("detr_logits", graph, [boxes.name, logits.name], names)


def fit_rf_detr(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    found = _boxes_and_logits(graph, ("dets", "labels"), forced=forced)
    if isinstance(found, str):
        return found
    boxes, logits = found
    columns = logits.shape[2]
    names = graph.names.of(columns) or graph.names.of(columns - 1)
    if names is None:
        return (
            f"has as many columns as classes and perhaps one for the background, this graph {columns} for "
            f"{graph.names.count} names"
        )
    return RfDetr("rf_detr", graph, [boxes.name, logits.name], names)


def _boxes_and_logits(
    graph: Graph, expected: tuple[str, str], *, forced: bool
) -> tuple[TensorSpec, TensorSpec] | str:
    """Return the two outputs, which have the expected names unless the user says what they are."""
    if graph.further:
        return f"takes an image alone, this graph also {_names(graph.further)}"
    found = {spec.name: spec for spec in graph.outputs}
    if forced and len(found) == 2 and set(found) != set(expected):
        boxes_first = sorted(graph.outputs, key=lambda spec: spec.shape[-1:] != (4,))
        found = dict(zip(expected, boxes_first, strict=True))
    if set(found) != set(expected):
        return f"has the outputs {' and '.join(expected)}, this graph {_names(graph.outputs)}"
    boxes, logits = (found[name] for name in expected)
    for spec, size in ((boxes, "4"), (logits, "classes")):
        if spec.dtype not in FLOATS or len(spec.shape) != 3 or (size == "4" and spec.shape[2] not in {0, 4}):
            return f"has float [1, n, {size}] for {spec.name}"
    return boxes, logits


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
            return "needs metadata that name the classes, and call the model an RT-DETR if there are 2"
        if not output.shape[1] or graph.anchors_per_cell(output.shape[1]):
            return f"has a few hundred queries, not {output.shape[1] or 'an open number'}"
    return DetrRows("detr_rows", graph, [output.name], names)


def _names(specs: list[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs)
