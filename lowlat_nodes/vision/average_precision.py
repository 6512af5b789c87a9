# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision as the COCO benchmark defines it (Lin et al., ECCV 2014, and its evaluation server)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.boxes import Floats, areas, intersections, intersections_over_unions

Bools = NDArray[np.bool_]
Verdicts = NDArray[np.int8]

THRESHOLDS: Final = tuple(round(0.5 + 0.05 * n, 2) for n in range(10))
"""Of the intersection over union (IoU) at which a box counts as found."""

_RECALLS: Final = np.linspace(0.0, 1.0, 101)
_LIMIT: Final = 100  # detections of one class in one frame

_WRONG, _RIGHT, _IGNORED = range(3)


@dataclass(frozen=True)
class Sizes:
    """Which boxes count as small, medium and large.

    Attributes:
        medium_px2: Area from which a box is no longer small.
        large_px2: Area from which it is large.
    """

    medium_px2: float = 32.0**2
    large_px2: float = 96.0**2


@dataclass(frozen=True)
class Precision:
    """How precise a detector was; each figure is from 0 to 1, or NaN where nothing was to be found.

    Attributes:
        ap: Mean over the classes and the IoU thresholds from 0.50 to 0.95.
        ap50: Mean over the classes at IoU 0.50.
        ap75: Mean over the classes at IoU 0.75.
        ap_small: `ap` of small boxes.
        ap_medium: `ap` of boxes of medium size.
        ap_large: `ap` of large boxes.
        by_class: `ap` of each class by name.
        recall: Share of the boxes found, mean over classes and thresholds, with up to 100 detections a class
            and frame.
        frames: Frames judged.
        wanted: Boxes to be found in them.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    by_class: dict[str, float]
    recall: float
    frames: int
    wanted: int


class AveragePrecision:
    """Judges detections frame by frame, then all of them together.

    Args:
        names: The classes, by number.
        sizes: What is small, medium and large.
    """

    def __init__(self, names: Sequence[str], sizes: Sizes | None = None) -> None:
        if not names:
            raise ConfigurationError("expected the name of at least one class, got none")
        self.names = tuple(names)
        sizes = sizes or Sizes()
        # All, small, medium, large. A box on a border is of both ranges, as in the benchmark.
        self._least = np.array([0.0, 0.0, sizes.medium_px2, sizes.large_px2])
        self._most = np.array([np.inf, sizes.medium_px2, sizes.large_px2, np.inf])
        self._scores: list[list[Floats]] = [[] for _ in names]
        self._verdicts: list[list[Verdicts]] = [[] for _ in names]
        self._wanted = np.zeros((len(names), len(self._least)), dtype=np.int64)
        self._frames = 0

    def add(
        self, rows: ArrayLike, boxes: ArrayLike, labels: ArrayLike, ignored: ArrayLike | None = None
    ) -> None:
        """Judge the detections of one frame.

        Args:
            rows: Detections, [n, 6]: left, top, right, bottom, score, class.
            boxes: What was to be found, [m, 4], in the same unit.
            labels: The classes of the boxes, [m].
            ignored: Regions, [k, 4], in which detections of any class that match no box are neither right nor
                wrong: those of which the region covers the share that the IoU would have to be.

        Raises ConfigurationError if a shape or a class is not as said or a number is not finite.
        """
        found = _numbers("rows", rows, 6)
        truth = _numbers("boxes", boxes, 4)
        regions = _numbers("ignored", () if ignored is None else ignored, 4)
        classes = self._classes("labels", labels, len(truth))
        found_classes = self._classes("the classes of rows", found[:, 5], len(found))
        self._frames += 1
        for label in np.unique(np.concatenate([classes, found_classes])).tolist():
            mine = found[found_classes == label]
            mine = mine[np.argsort(-mine[:, 4], kind="stable")][:_LIMIT]
            wanted = truth[classes == label]
            sizes = areas(wanted)
            outside = (sizes < self._least[:, None]) | (sizes > self._most[:, None])
            self._wanted[label] += np.count_nonzero(~outside, axis=1)
            if len(mine):
                self._scores[label].append(mine[:, 4])
                self._verdicts[label].append(self._judge(mine[:, :4], wanted, outside, regions))

    def _classes(self, what: str, values: ArrayLike, count: int) -> NDArray[np.int64]:
        classes = np.asarray(values)
        if classes.shape != (count,) or not np.isin(classes, np.arange(len(self.names))).all():
            raise ConfigurationError(
                f"{what}: expected {count} whole numbers from 0 to {len(self.names) - 1}, got "
                f"{list(classes.shape)}: {classes.ravel()[:8].tolist()}"
            )
        return classes.astype(np.int64)

    def _judge(self, boxes: Floats, wanted: Floats, outside: Bools, regions: Floats) -> Verdicts:
        """Match boxes of one class, best first, to those wanted: verdicts [boxes, sizes, thresholds]."""
        thresholds = np.array(THRESHOLDS)
        area = areas(boxes)[:, None]
        iou = intersections_over_unions(boxes, wanted)
        # Of the region it is of no interest how much is covered.
        covered = (intersections(boxes, regions) / np.maximum(area, 1e-12)).max(axis=1, initial=0.0)
        sizes = (area >= self._least) & (area <= self._most)
        verdicts = np.where(
            (covered[:, None, None] >= thresholds) | ~sizes[:, :, None], _IGNORED, _WRONG
        ).astype(np.int8)
        taken = np.zeros((len(self._least), len(thresholds), len(wanted)), dtype=bool)
        for number in np.flatnonzero(iou.max(axis=1, initial=0.0) >= thresholds[0]):
            free = (iou[number] >= thresholds[:, None]) & ~taken
            inside = free & ~outside[:, None, :]
            # One that counts is preferred to one of another size, however well that fits.
            choice = np.where(inside.any(axis=2, keepdims=True), inside, free)
            fit = np.where(choice, iou[number], -1.0)
            best = fit.shape[2] - 1 - fit[:, :, ::-1].argmax(axis=2)
            size, threshold = np.nonzero(choice.any(axis=2))
            picked = best[size, threshold]
            taken[size, threshold, picked] = True
            verdicts[number, size, threshold] = np.where(outside[size, picked], _IGNORED, _RIGHT)
        return verdicts

    def result(self) -> Precision:
        """Return the figures of all frames so far."""
        shape = (len(self.names), len(self._least), len(THRESHOLDS))
        precision, recall = np.full(shape, np.nan), np.full(shape, np.nan)
        for label, wanted in enumerate(self._wanted):
            for size in np.flatnonzero(wanted).tolist():
                precision[label, size], recall[label, size] = self._curve(label, size, int(wanted[size]))
        over_all = precision[:, 0]
        return Precision(
            ap=_mean(over_all),
            ap50=_mean(over_all[:, THRESHOLDS.index(0.5)]),
            ap75=_mean(over_all[:, THRESHOLDS.index(0.75)]),
            ap_small=_mean(precision[:, 1]),
            ap_medium=_mean(precision[:, 2]),
            ap_large=_mean(precision[:, 3]),
            by_class={name: _mean(over_all[label]) for label, name in enumerate(self.names)},
            recall=_mean(recall[:, 0]),
            frames=self._frames,
            wanted=int(self._wanted[:, 0].sum()),
        )

    def _curve(self, label: int, size: int, wanted: int) -> tuple[Floats, Floats]:
        """Return interpolated precision and final recall of one class, [thresholds] each."""
        if not self._scores[label]:
            return np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS))
        order = np.argsort(-np.concatenate(self._scores[label]), kind="stable")
        verdicts = np.concatenate([frame[:, size] for frame in self._verdicts[label]])[order]
        precisions, recalls = np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS))
        for threshold, column in enumerate(verdicts.T):
            right = (column[column != _IGNORED] == _RIGHT).cumsum()
            if not right.size:
                continue
            precision = right / np.arange(1, right.size + 1)
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            first = np.searchsorted(right / wanted, _RECALLS)
            reached = first < right.size
            precisions[threshold] = envelope[first[reached]].sum() / _RECALLS.size
            recalls[threshold] = right[-1] / wanted
        return precisions, recalls


def _numbers(what: str, values: ArrayLike, columns: int) -> Floats:
    array: NDArray[Any] = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        array = array.reshape(0, columns)
    if array.ndim != 2 or array.shape[1] != columns or not np.isfinite(array).all():
        raise ConfigurationError(f"{what}: expected finite numbers [n, {columns}], got {list(array.shape)}")
    return array


def _mean(values: Floats) -> float:
    """Return the mean of those that are not NaN."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
