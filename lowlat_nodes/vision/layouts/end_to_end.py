# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One output [1, n, 6] of finished detections, as YOLOv10, YOLO26 and one exporter of RT-DETR give."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.vision.layouts.graph import Graph, only_table
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.placement import Rows

_MOST = 300  # rows that such models give, and fewer where their grids have fewer cells


class EndToEnd(Layout):
    """Rows of x1, y1, x2, y2 in px of a letterboxed input, score, class (YOLOv10, 2405.14458)."""

    default_resize: ClassVar[str] = "letterbox"

    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        classes: NDArray[np.bool_] | None,  # noqa: ARG002 (left to _sound)
    ) -> Rows:
        found = self._shaped(outputs[0], 0, 6)
        scores = found[:, 4]
        if (scores[1:] <= scores[:-1]).all():
            good = len(scores) - int(np.searchsorted(scores[::-1], threshold))
            best: Rows = found[:good].copy()
            return best
        self.refused += int(np.count_nonzero(np.isnan(scores)))
        found = found[scores >= threshold]
        by_score: Rows = found[np.argsort(-found[:, 4], kind="stable")]
        return by_score


class DetrEndToEnd(EndToEnd):
    """Rows of centre x and y, width and height from 0 to 1 of a stretched input, score, class."""

    default_resize: ClassVar[str] = "stretch"

    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        classes: NDArray[np.bool_] | None,
    ) -> Rows:
        rows = super()._candidates(outputs, threshold, classes)
        _to_corners(rows)
        rows[:, :4] *= np.array((self.image.width, self.image.height) * 2, np.float32)
        return rows


def _to_corners(rows: Rows) -> None:
    """Turn centre x and y, width, height into x1, y1, x2, y2, in place, in the first four columns."""
    half = rows[:, 2:4] * np.float32(0.5)
    rows[:, 2:4] = rows[:, :2] + half
    rows[:, :2] -= half


def fit_end_to_end(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    output = _rows_of_six(graph, forced=forced)
    if isinstance(output, str):
        return output
    if not forced:
        if graph.is_rt_detr:
            return "is of YOLOv10 and its like, the metadata speaks of an RT-DETR"
        rows = output.shape[1]
        if graph.anchors_per_cell(rows) and not (graph.end_to_end and rows <= _MOST):
            return f"has the best boxes only, {rows} are boxes for every cell of the grids on the image"
    return EndToEnd("end_to_end", graph, [output.name], graph.names.any)


def fit_detr_end_to_end(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    output = _rows_of_six(graph, forced=forced)
    if isinstance(output, str):
        return output
    if not forced and not graph.is_rt_detr:
        return "needs metadata that call the model an RT-DETR"
    return DetrEndToEnd("detr_end_to_end", graph, [output.name], graph.names.any)


def _rows_of_six(graph: Graph, *, forced: bool) -> TensorSpec | str:
    """Return the output if it is the only one and has rows of six numbers."""
    output = only_table(graph, "[1, n, 6]")
    if isinstance(output, str):
        return output
    if output.shape[2] not in {0, 6} or (output.shape[2] == 0 and not forced):
        return f"has rows of 6 numbers, these have {output.shape[2] or 'an open number'}"
    return output
