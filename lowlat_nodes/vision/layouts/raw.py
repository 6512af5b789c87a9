# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One output with a box and the scores of all classes for every cell of the grids on an image."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.vision.layouts.graph import Graph, only_table
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.nms import suppress
from lowlat_nodes.vision.layouts.table import Table
from lowlat_nodes.vision.placement import Rows


class OneToOne(Table):
    """Columns of x1, y1, x2, y2 in px of a letterboxed input and scores, [1, 4 + classes, boxes].

    It is what YOLOv10's one-to-one head gives before its top-k; the boxes need no suppression. The output may
    be `transposed`, [1, boxes, 4 + classes].
    """

    default_resize: ClassVar[str] = "letterbox"
    activation: ClassVar[str] = "none"
    box_format: ClassVar[str] = "xyxy"
    columns_before_scores: ClassVar[int] = 4

    def __init__(
        self, name: str, graph: Graph, outputs: list[str], names: tuple[str, ...], *, transposed: bool
    ) -> None:
        super().__init__(name, graph, outputs, names)
        self._transposed = transposed
        self._columns = self.columns_before_scores + len(names)

    def _boxes_and_scores(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: float,  # noqa: ARG002 (for those that can leave boxes out)
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        table = self._table(outputs)
        return table[:, :4], table[:, 4:]

    def _table(self, outputs: list[NDArray[np.generic]]) -> NDArray[np.float32]:
        """Return float32 [boxes, 4 + classes]."""
        if self._transposed:
            return self._shaped(outputs[0], 0, self._columns)
        columns: NDArray[np.float32] = self._shaped(outputs[0], self._columns, 0).T
        return columns


class OneToMany(OneToOne):
    """Columns of centre x and y, width, height in px, and scores; boxes overlap (YOLOv8, YOLO11)."""

    box_format: ClassVar[str] = "cxcywh"
    overlapping: ClassVar[bool] = True

    def __init__(
        self, name: str, graph: Graph, outputs: list[str], names: tuple[str, ...], *, transposed: bool
    ) -> None:
        super().__init__(name, graph, outputs, names, transposed=transposed)
        self._iou_threshold = graph.settings.iou_threshold

    def _distinct(self, rows: Rows) -> Rows:
        return rows[suppress(rows, self._iou_threshold)]


class Objectness(OneToMany):
    """As `OneToMany` with a fifth column that all scores are multiplied by (YOLOv5, YOLOv7)."""

    columns_before_scores: ClassVar[int] = 5

    def _boxes_and_scores(
        self, outputs: list[NDArray[np.generic]], threshold: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        table = self._table(outputs)
        objectness = table[:, 4]
        self.refused += int(np.count_nonzero(np.isnan(objectness)))
        # No score of a box is above its objectness, for those of the classes are at most 1.
        table = table[objectness >= np.float32(threshold)]
        return table[:, :4], table[:, 5:] * table[:, 4:5]


def fit_one_to_one(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    if not forced and graph.end_to_end is not True:
        return "needs metadata that say end2end: True"
    return _fit(OneToOne, "one_to_one", graph, forced=forced)


def fit_one_to_many(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    if not forced and graph.end_to_end is True:
        return "needs suppression, the metadata say end2end: True"
    return _fit(OneToMany, "one_to_many", graph, forced=forced)


def fit_objectness(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    if not forced and graph.end_to_end is not None:
        return "is older than models whose metadata say end2end"
    return _fit(Objectness, "objectness", graph, forced=forced)


def _fit(kind: type[OneToOne], name: str, graph: Graph, *, forced: bool) -> Layout | str:
    output = only_table(graph, "[1, 4 + classes, boxes] or [1, boxes, 4 + classes]")
    if isinstance(output, str):
        return output
    reasons = []
    for transposed, (columns, boxes) in ((False, output.shape[1:]), (True, output.shape[:0:-1])):
        reason = _reason(kind, graph, columns, boxes, transposed=transposed, forced=forced)
        if not reason:
            names = graph.names.of(columns - kind.columns_before_scores)
            assert names is not None
            return kind(name, graph, [output.name], names, transposed=transposed)
        reasons.append(reason)
    return "; ".join(dict.fromkeys(reasons))


def _reason(
    kind: type[OneToOne], graph: Graph, columns: int, boxes: int, *, transposed: bool, forced: bool
) -> str:
    """Return why an output does not have so many columns for each of so many boxes; empty if it may."""
    first = kind.columns_before_scores
    if columns <= first:
        return f"has {first} numbers and the scores of all classes per box, not {columns or 'an open number'}"
    if graph.names.of(columns - first) is None:
        return (
            f"has {first} numbers and {graph.names.count} scores per box for the {graph.names.count} names, "
            f"not {columns}"
        )
    if forced:
        likely = graph.names.known or not boxes or columns < boxes
        return "" if likely else f"has more boxes than numbers per box, not {boxes} and {columns}"
    if kind is Objectness and not transposed and not graph.names.known:
        return f"has rows of {first} numbers and more, not columns, unless the number of names says so"
    if not boxes:
        return "has a fixed number of boxes in rows, not an open one" if transposed else ""
    per_cell = graph.anchors_per_cell(boxes)
    if not per_cell:
        return (
            f"has a box per cell of some grids, {graph.width} x {graph.height} px have none of {boxes} cells"
        )
    if kind is not Objectness and per_cell != 1:
        return f"has one box per cell, {boxes} are {per_cell}"
    return ""
