# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.average_precision import THRESHOLDS, AveragePrecision, Precision, Sizes

Floats = NDArray[np.float64]
BOX = [0.0, 0.0, 10.0, 10.0]
FAR = [100.0, 100.0, 110.0, 110.0]


def _judged(rows: list[Any], boxes: list[Any], labels: list[int], **regions: Any) -> Precision:
    precision = AveragePrecision(["disc", "star"])
    precision.add(rows, boxes, labels, **regions)
    return precision.result()


def test_a_perfect_detector() -> None:
    result = _judged([[*BOX, 0.9, 0], [*FAR, 0.1, 1]], [FAR, BOX], [1, 0])
    assert (result.ap, result.ap50, result.ap75, result.recall) == (1.0, 1.0, 1.0, 1.0)
    assert result.by_class == {"disc": 1.0, "star": 1.0}
    assert (result.frames, result.wanted) == (1, 2)


def test_a_box_counts_up_to_its_overlap() -> None:
    # 60 of 100 px: right at 0.50, 0.55 and 0.60.
    result = _judged([[0, 0, 10, 6, 0.9, 0]], [BOX], [0])
    assert (result.ap50, result.ap75) == (1.0, 0.0)
    assert result.ap == pytest.approx(0.3)


def test_what_is_not_found_costs_the_recall_beyond() -> None:
    result = _judged([[*BOX, 0.9, 0]], [BOX, FAR], [0, 0])
    assert result.ap == pytest.approx(51 / 101)
    assert result.recall == 0.5


def test_a_false_detection_costs_by_its_score() -> None:
    false = [50, 50, 60, 60]
    assert _judged([[*BOX, 0.8, 0], [*false, 0.9, 0]], [BOX], [0]).ap == 0.5
    assert _judged([[*BOX, 0.8, 0], [*false, 0.7, 0]], [BOX], [0]).ap == 1.0


def test_a_box_is_found_once() -> None:
    rows = [[*BOX, 0.9, 0], [*BOX, 0.8, 0], [*FAR, 0.7, 0]]
    assert _judged(rows, [BOX, FAR], [0, 0]).ap == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_wrong_class_is_wrong_twice() -> None:
    result = _judged([[*BOX, 0.9, 1]], [BOX, FAR], [0, 1])
    assert result.by_class == {"disc": 0.0, "star": 0.0}


def test_a_class_that_never_occurs_is_in_no_mean() -> None:
    result = _judged([[*BOX, 0.9, 0], [*FAR, 0.9, 1]], [BOX], [0])
    assert result.ap == 1.0
    assert math.isnan(result.by_class["star"])


def test_nothing_wanted_is_no_figure() -> None:
    assert math.isnan(_judged([[*BOX, 0.9, 0]], [], []).ap)


def test_nothing_found_is_nought() -> None:
    assert _judged([], [BOX], [0]).ap == 0.0


def test_in_ignored_regions_nothing_is_wrong() -> None:
    inside, half = [52, 52, 58, 58], [45, 50, 55, 60]
    region = [[50, 50, 60, 60]]
    assert _judged([[*BOX, 0.8, 0], [*inside, 0.9, 0]], [BOX], [0], ignored=region).ap == 1.0
    # Half of it is within: ignored at an IoU of 0.50, wrong above.
    result = _judged([[*BOX, 0.8, 0], [*half, 0.9, 0]], [BOX], [0], ignored=region)
    assert (result.ap50, result.ap75) == (1.0, 0.5)


def test_a_box_in_an_ignored_region_can_still_be_found() -> None:
    assert _judged([[*BOX, 0.9, 0]], [BOX], [0], ignored=[[0, 0, 50, 50]]).ap == 1.0


def test_sizes_are_judged_apart() -> None:
    small, large = [0, 0, 20, 20], [100, 100, 220, 220]
    precision = AveragePrecision(["disc"])
    precision.add([[*small, 0.9, 0]], [small, large], [0, 0])
    result = precision.result()
    assert (result.ap_small, result.ap_large) == (1.0, 0.0)
    assert math.isnan(result.ap_medium)
    # The border is where it is asked to be.
    precision = AveragePrecision(["disc"], Sizes(medium_px2=100.0, large_px2=1000.0))
    precision.add([[*small, 0.9, 0]], [small, large], [0, 0])
    assert precision.result().ap_medium == 1.0


def test_of_one_class_a_hundred_a_frame_are_judged() -> None:
    false = [[*FAR, 0.9, 0]] * 99
    assert _judged([*false, [*BOX, 0.8, 0]], [BOX], [0]).ap == pytest.approx(0.01)
    assert _judged([*false, [*FAR, 0.9, 0], [*BOX, 0.8, 0]], [BOX], [0]).ap == 0.0


def test_a_box_inside_out_is_wrong() -> None:
    assert _judged([[*BOX, 0.8, 0], [20, 20, 15, 30, 0.9, 0]], [BOX], [0]).ap == 0.5


def test_frames_are_ranked_together() -> None:
    precision = AveragePrecision(["disc"])
    precision.add([[*BOX, 0.6, 0]], [BOX], [0])
    precision.add([[*FAR, 0.9, 0]], [BOX], [0])
    # The false one comes first: precision 1/2 up to a recall of 1/2.
    assert precision.result().ap == pytest.approx(0.5 * 51 / 101)


@pytest.mark.parametrize(
    ("rows", "boxes", "labels", "message"),
    [
        ([[0, 0, 1, 1, 0.5]], [], [], r"rows: expected finite numbers \[n, 6\]"),
        ([[0, 0, 1, 1, math.nan, 0]], [], [], "rows: expected finite numbers"),
        ([[0, 0, 1, 1, 0.5, 2]], [], [], "classes of rows: expected 1 whole numbers from 0 to 1"),
        ([[0, 0, 1, 1, 0.5, 0.5]], [], [], "classes of rows"),
        ([], [[0, 0, 1]], [0], r"boxes: expected finite numbers \[n, 4\]"),
        ([], [BOX], [], "labels: expected 1 whole"),
        ([], [BOX], [-1], "labels: expected 1 whole"),
    ],
)
def test_what_does_not_fit_is_refused(rows: Any, boxes: Any, labels: Any, message: str) -> None:
    precision = AveragePrecision(["disc", "star"])
    with pytest.raises(ConfigurationError, match=message):
        precision.add(rows, boxes, labels)


def test_classes_are_needed() -> None:
    with pytest.raises(ConfigurationError, match="at least one class"):
        AveragePrecision([])


def _iou(a: Floats, b: Floats) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def _by_loops(frames: list[tuple[Floats, Floats, Floats]], label: int, threshold: float) -> float:
    """Average precision of a class at a threshold, as one would write it down."""
    found, wanted = [], 0
    for rows, boxes, labels in frames:
        mine = [box for box, its in zip(boxes, labels, strict=True) if its == label]
        wanted += len(mine)
        for row in sorted((row for row in rows if row[5] == label), key=lambda row: -row[4]):
            best = max(range(len(mine)), key=lambda n: _iou(row, mine[n]), default=None)
            right = best is not None and _iou(row, mine[best]) >= threshold
            if right:
                del mine[best]
            found.append((row[4], right))
    found.sort(key=lambda pair: -pair[0])
    points, right = [], 0
    for number, (_, is_right) in enumerate(found, start=1):
        right += is_right
        points.append((right / wanted, right / number))
    steps = [max((p for r, p in points if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)]
    return sum(steps) / len(steps)


@pytest.mark.parametrize("seed", range(3))
def test_loops_come_to_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    precision, frames = AveragePrecision(["a", "b", "c"]), []
    for _ in range(30):
        centres, sides = rng.uniform(0, 200, (6, 2)), rng.uniform(10, 60, (6, 2))
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        labels = rng.integers(3, size=6)
        near = np.repeat(boxes, 3, axis=0) + rng.normal(0, 3, (18, 4))
        classes = np.where(rng.random(18) < 0.8, np.repeat(labels, 3), rng.integers(3, size=18))
        rows = np.concatenate([near, rng.random((18, 1)), classes[:, None]], axis=1)
        precision.add(rows, boxes, labels)
        frames.append((rows, boxes, labels))
    table = np.array([[_by_loops(frames, label, t) for t in THRESHOLDS] for label in range(3)])
    result = precision.result()
    assert result.ap == pytest.approx(table.mean(), abs=1e-12)
    assert result.ap50 == pytest.approx(table[:, 0].mean(), abs=1e-12)
    assert list(result.by_class.values()) == pytest.approx(table.mean(axis=1).tolist(), abs=1e-12)
