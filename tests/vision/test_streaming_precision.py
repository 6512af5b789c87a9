# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.vision.average_precision import AveragePrecision
from lowlat_nodes.vision.streaming_precision import Output, StreamingPrecision

PERIOD_NS = 100
FRAMES = 50


def _box(time_ns: int) -> NDArray[np.float32]:
    """A box 10 px wide that moves by 2.5 px a frame."""
    x = 2.5 * time_ns / PERIOD_NS
    return np.array([[x, 5.0, x + 10.0, 15.0]], np.float32)


def _rows(time_ns: int, score: float = 0.9) -> NDArray[np.float32]:
    return np.concatenate([_box(time_ns), [[score, 0.0]]], axis=1).astype(np.float32)


def _judged(outputs: list[Output]) -> StreamingPrecision:
    streaming = StreamingPrecision(["disc"], outputs)
    for number in range(FRAMES):
        streaming.add(number * PERIOD_NS, _box(number * PERIOD_NS), [0])
    return streaming


def _late_by(latency_ns: int) -> list[Output]:
    times = [number * PERIOD_NS for number in range(FRAMES)]
    return [Output(time_ns + latency_ns, _rows(time_ns)) for time_ns in times]


def test_without_latency_it_is_the_average_precision() -> None:
    rng = np.random.default_rng(0)
    plain, outputs = AveragePrecision(["disc"]), []
    truths = []
    for number in range(FRAMES):
        rows = _rows(number * PERIOD_NS, rng.uniform(0.1, 1.0))
        rows[:, :4] += rng.normal(0.0, 0.6, (1, 4))
        outputs.append(Output(number * PERIOD_NS, rows))
        truths.append((number * PERIOD_NS, _box(number * PERIOD_NS)))
        plain.add(rows, truths[-1][1], [0])
    streaming = StreamingPrecision(["disc"], reversed(outputs))
    for time_ns, box in truths:
        streaming.add(time_ns, box, [0])
    assert str(streaming.result()) == str(plain.result())  # figures that are NaN are equal too
    assert 0.0 < streaming.result().ap < 1.0
    assert streaming.unanswered == 0


def test_a_frame_of_latency_costs_what_the_motion_of_a_frame_costs() -> None:
    # 2.5 of 10 px: an IoU of 7.5 / 12.5 = 0.6, right at three thresholds of ten; and the first moment has no
    # answer, so that a recall of 49/50 is reached: 0.98 is the 99th of 101.
    streaming = _judged(_late_by(PERIOD_NS))
    assert streaming.unanswered == 1
    assert streaming.result().ap == pytest.approx(0.3 * 99 / 101)
    assert streaming.result().ap50 == pytest.approx(99 / 101)


def test_any_latency_below_a_frame_costs_a_frame() -> None:
    assert str(_judged(_late_by(1)).result()) == str(_judged(_late_by(PERIOD_NS)).result())


def test_more_latency_costs_more() -> None:
    figures = [_judged(_late_by(frames * PERIOD_NS)).result().ap for frames in range(4)]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] == 1.0
    assert figures[-1] == 0.0


def test_frozen_outputs_fall() -> None:
    alive = _late_by(0)
    half, once = _judged(alive[: FRAMES // 2]).result(), _judged(alive[:1]).result()
    assert 0.0 < once.ap < half.ap < 1.0


def test_the_newest_output_counts_whichever_frame_it_is_of() -> None:
    right, wrong = _rows(0), np.array([[90, 90, 99, 99, 0.9, 0]], np.float32)
    streaming = StreamingPrecision(["disc"], [Output(50, wrong), Output(20, right), Output(100, right)])
    streaming.add(60, _box(0), [0])
    assert streaming.result().ap == 0.0
    streaming = StreamingPrecision(["disc"], [Output(50, wrong), Output(60, right)])
    streaming.add(60, _box(0), [0])
    assert streaming.result().ap == 1.0


def test_ignored_regions_are_passed_on() -> None:
    rows = np.concatenate([_rows(0), [[100, 100, 110, 110, 0.95, 0]]]).astype(np.float32)
    streaming = StreamingPrecision(["disc"], [Output(0, rows)])
    streaming.add(0, _box(0), [0], ignored=[[95, 95, 115, 115]])
    assert streaming.result().ap == 1.0
