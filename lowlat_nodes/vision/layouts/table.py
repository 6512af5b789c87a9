# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A set of boxes with the scores of all classes for each; the best pairs of box and class are detections."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.detections import MOST_ROWS, UNPLACED, Found, ToSource, detections
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.placement import Placement, Rows

MOST_PAIRS = MOST_ROWS
"""How many pairs of an image are looked at; far more than there are things in it."""

# By numba a frame is done 40 us sooner, and the node takes 2.3 s and 165 MB more: docs/kernels.md.
_detections: Callable[..., Found] = detections.on("vectorised")


class Table(Layout):
    """Boxes [n, 4] and scores [n, classes]; all pairs compete, as in YOLOv10 (2405.14458).

    One box may be of two classes. Of equal scores that of the lower box comes first, then of the lower class.
    """

    activation: ClassVar[str]
    """As in `kernels.detections.ACTIVATIONS`."""
    box_format: ClassVar[str]
    """As in `kernels.detections.BOX_FORMATS`."""
    overlapping: ClassVar[bool] = False
    """Whether several boxes stand for one thing, so that suppression must follow."""

    def decode(
        self,
        outputs: list[NDArray[np.generic]],
        placement: Placement,
        threshold: float,
        limit: int,
        classes: NDArray[np.bool_] | None = None,
        most_candidates: int | None = None,
    ) -> Rows:
        """Return the detections in an image; see `Layout.decode`."""
        if self.overlapping:
            return super().decode(outputs, placement, threshold, limit, classes, most_candidates)
        most = limit if most_candidates is None else min(limit, most_candidates)
        return self._best(outputs, threshold, min(most, MOST_PAIRS), classes, placement)

    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        classes: NDArray[np.bool_] | None,
    ) -> Rows:
        return self._best(outputs, float(threshold), MOST_PAIRS, classes, None)

    def _best(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: float,
        limit: int,
        classes: NDArray[np.bool_] | None,
        placement: Placement | None,
    ) -> Rows:
        """Return the best rows, in px of the source image, or of the input where no `placement` is given."""
        boxes, scores = self._boxes_and_scores(outputs, threshold)
        self.candidates = 0
        if not scores.size:
            return np.empty((0, 6), np.float32)
        found = _detections(
            scores,
            boxes,
            threshold=threshold,
            limit=limit,
            activation=self.activation,
            box_format=self.box_format,
            to_source=_way(placement, *self._unit()),
            classes=classes,
        )
        self.candidates = min(int(found.counts[1]), MOST_PAIRS)
        self.refused += int(found.counts[2])
        rows: Rows = found.detections()
        return rows

    @abstractmethod
    def _boxes_and_scores(
        self, outputs: list[NDArray[np.generic]], threshold: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the boxes and the scores; those without a score of the threshold may be left out."""

    def _unit(self) -> tuple[float, float]:
        """Return what x and y of boxes are multiplied by to be px of the input."""
        return 1.0, 1.0


@functools.lru_cache(maxsize=64)
def _way(placement: Placement | None, x_unit: float, y_unit: float) -> ToSource:
    """Return the way from boxes to px of the source image, or of the input without a placement."""
    if placement is None:
        return UNPLACED._replace(width=x_unit, height=y_unit)
    return ToSource(
        x_unit,
        y_unit,
        placement.left,
        placement.top,
        placement.width / placement.scaled_width,
        placement.height / placement.scaled_height,
        0.0,
        0.0,
        placement.width,
        placement.height,
    )
