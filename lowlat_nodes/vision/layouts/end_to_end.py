# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One output [1, n, 6] of finished detections, as YOLOv10 and YOLO26 give without any suppression."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.vision.layouts.graph import FLOATS, Graph
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
        limit: int,  # noqa: ARG002 (the graph has chosen the best)
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


def fit_end_to_end(graph: Graph, *, forced: bool) -> Layout | str:
    """Return the layout if a graph has it, or why it has not; `forced`: the user says that it has."""
    if graph.further:
        return f"takes an image alone, this graph also {', '.join(spec.name for spec in graph.further)}"
    if len(graph.outputs) != 1:
        return f"has 1 output, this graph {len(graph.outputs)}"
    output = graph.outputs[0]
    if output.dtype not in FLOATS or len(output.shape) != 3 or output.shape[0] > 1:
        return "is float [1, n, 6]"
    if output.shape[2] not in {0, 6} or (output.shape[2] == 0 and not forced):
        return f"has rows of 6 numbers, these have {output.shape[2] or 'an open number'}"
    if not forced:
        if graph.is_rt_detr:
            return "is of YOLOv10 and its like, the metadata speaks of an RT-DETR"
        rows = output.shape[1]
        if graph.anchors_per_cell(rows) and not (graph.end_to_end and rows <= _MOST):
            return f"has the best boxes only, {rows} are boxes for every cell of the grids on the image"
    names = graph.names.of(0)
    assert names is not None
    return EndToEnd("end_to_end", graph, [output.name], names)
