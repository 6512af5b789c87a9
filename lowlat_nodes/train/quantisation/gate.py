# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a quantised detector still is the detector that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.quantisation.samples import Sample, Truth
from lowlat_nodes.vision.average_precision import AveragePrecision
from lowlat_nodes.vision.placement import Rows

DROP: Final = 0.01
"""Most that the average precision may fall: a point."""

DISAGREEMENT: Final = 0.05
"""Most that the agreement with the floating-point model may fall where that stands for the truth.

Agreement is stricter than truth: of two quantised detectors the one that agreed to 0.92 lost a point of
average precision, the one that agreed to 0.99 nothing.
"""

SURE: Final = 0.25
"""The score from which a detection of the floating-point model counts as a thing that it sees."""


@dataclass(frozen=True)
class Limits:
    """What is let through.

    Attributes:
        drop: Most that the average precision, or the agreement, may fall.
        score_ratio: Least median, over the images, of the best score to the best one in floating point.
    """

    drop: float = DROP
    score_ratio: float = 0.5


@dataclass(frozen=True)
class Verdict:
    """What a gate found.

    Attributes:
        ap_fp32: Average precision (COCO) of the floating-point model.
        ap_int8: Of the quantised one.
        score_ratio: Median, over the images in which the floating-point model sees something, of the best
            score to its best score.
        reasons: Why the model is refused; none if it is not.
    """

    ap_fp32: float
    ap_int8: float
    score_ratio: float
    reasons: tuple[str, ...]

    @property
    def drop(self) -> float:
        """Return by how much the average precision fell."""
        return self.ap_fp32 - self.ap_int8


class Gate:
    """Judges quantised models by what a floating-point one finds in the same images.

    Where images have no truth, what the floating-point model is sure of stands for it; the average precision
    then says how far the two agree, not how good either is.

    Args:
        samples: The images.
        expected: What the floating-point model finds in each.
        names: The classes.
        limits: What is let through.

    Attributes:
        agreement: Whether there was no truth.

    Raises:
        ConfigurationError: If the floating-point model is sure of nothing in any image, or nothing is to be
            found.
    """

    def __init__(
        self, samples: Sequence[Sample], expected: Sequence[Rows], names: Sequence[str], limits: Limits
    ) -> None:
        self.agreement = any(sample.truth is None for sample in samples)
        self._expected = expected
        self._names = names
        self._limits = limits
        if not any(_sure(rows).any() for rows in expected):
            raise ConfigurationError(
                f"the floating-point model finds nothing with a score of {SURE} or more in {len(samples)} "
                f"images: expected images of what it detects, to judge by"
            )
        self._truths = [
            _own_truth(rows) if self.agreement or sample.truth is None else sample.truth
            for sample, rows in zip(samples, expected, strict=True)
        ]
        self._ap = self._precision(expected)
        if np.isnan(self._ap):
            raise ConfigurationError(
                f"the labels of {len(samples)} images have no box of a class of the model, to judge by"
            )

    def judge(self, found: Sequence[Rows]) -> Verdict:
        """Return what is to be said of a quantised model that finds `found` in the images."""
        ap, ratio = self._precision(found), self._score_ratio(found)
        reasons = []
        if not any(len(rows) for rows in found):
            reasons.append("its scores have collapsed: it finds nothing at all")
        elif ratio < self._limits.score_ratio:
            reasons.append(
                f"its scores have collapsed: the best one of an image is {ratio:.2f} of what it was "
                f"(median), expected {self._limits.score_ratio:g} at least"
            )
        drop = self._ap - ap
        if drop > self._limits.drop:
            reasons.append(
                f"its {'agreement' if self.agreement else 'average precision'} fell by {drop:.4f} from "
                f"{self._ap:.4f} to {ap:.4f}, expected {self._limits.drop:g} at most"
            )
        return Verdict(self._ap, ap, ratio, tuple(reasons))

    def _precision(self, found: Sequence[Rows]) -> float:
        judge = AveragePrecision(self._names)
        for rows, truth in zip(found, self._truths, strict=True):
            judge.add(rows, truth.boxes, truth.labels, truth.ignored)
        return judge.result().ap

    def _score_ratio(self, found: Sequence[Rows]) -> float:
        ratios = [
            _best(rows) / _best(expected)
            for rows, expected in zip(found, self._expected, strict=True)
            if _sure(expected).any()
        ]
        return float(np.median(ratios))


def _best(rows: Rows) -> float:
    return float(rows[:, 4].max(initial=0.0))


def _sure(rows: Rows) -> NDArray[np.bool_]:
    sure: NDArray[np.bool_] = rows[:, 4] >= SURE
    return sure


def _own_truth(rows: Rows) -> Truth:
    sure = rows[_sure(rows)]
    return Truth(sure[:, :4], sure[:, 5].astype(np.int64), np.empty((0, 4)))
