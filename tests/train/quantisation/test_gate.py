# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the gate lets through, and what it says of the rest."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.train.quantisation.gate import Gate, Limits
from lowlat_nodes.train.quantisation.samples import Sample, Truth

NAMES = ("cat", "dog")
IMAGE = Image(np.zeros((8, 8, 3), np.uint8), "rgb8")
NOTHING = np.empty((0, 6), np.float32)
FOUND = np.array([[10, 10, 50, 50, 0.9, 0], [60, 60, 90, 90, 0.5, 1], [1, 1, 9, 9, 0.1, 1]], np.float32)


def _truth(rows: np.ndarray) -> Truth:
    return Truth(rows[:, :4], rows[:, 5].astype(np.int64), np.empty((0, 4)))


def _gate(truth: Truth | None, limits: Limits | None = None, *, images: int = 3) -> Gate:
    return Gate([Sample("", IMAGE, truth)] * images, [FOUND] * images, NAMES, limits or Limits())


def _with(column: int, factor: float) -> np.ndarray:
    rows = FOUND.copy()
    rows[:, column] *= factor
    return rows


def test_the_same_detections_pass() -> None:
    gate = _gate(_truth(FOUND[:2]))
    verdict = gate.judge([FOUND] * 3)
    assert not gate.agreement
    assert verdict.reasons == ()
    assert verdict.ap_fp32 == verdict.ap_int8 == pytest.approx(1.0)
    assert verdict.drop == 0.0
    assert verdict.score_ratio == 1.0


def test_a_fall_of_precision_is_refused() -> None:
    verdict = _gate(_truth(FOUND[:2])).judge([FOUND, FOUND, FOUND[:1]])
    assert verdict.drop > 0.1
    assert verdict.score_ratio == 1.0
    (reason,) = verdict.reasons
    assert "average precision fell by" in reason


def test_the_limit_of_the_fall_can_be_set() -> None:
    found = [FOUND, FOUND, FOUND[:1]]
    drop = _gate(_truth(FOUND[:2])).judge(found).drop
    assert not _gate(_truth(FOUND[:2]), Limits(drop=drop + 1e-9)).judge(found).reasons
    assert _gate(_truth(FOUND[:2]), Limits(drop=drop - 1e-9)).judge(found).reasons


def test_scores_that_shrink_are_refused_though_the_precision_stays() -> None:
    verdict = _gate(_truth(FOUND[:2])).judge([_with(4, 0.4)] * 3)
    assert verdict.drop == pytest.approx(0.0)
    assert verdict.score_ratio == pytest.approx(0.4)
    (reason,) = verdict.reasons
    assert "scores have collapsed" in reason


def test_nothing_found_at_all_is_a_collapse() -> None:
    verdict = _gate(_truth(FOUND[:2])).judge([NOTHING] * 3)
    assert verdict.score_ratio == 0.0
    assert "finds nothing at all" in verdict.reasons[0]
    assert len(verdict.reasons) == 2


def test_without_a_truth_what_the_model_is_sure_of_stands_for_it() -> None:
    gate = _gate(None)
    assert gate.agreement
    assert gate.judge([FOUND] * 3).ap_int8 == pytest.approx(1.0)
    # What the model is not sure of is not asked for.
    assert gate.judge([FOUND[:2]] * 3).ap_int8 == pytest.approx(1.0)
    assert "agreement fell by" in gate.judge([FOUND[:1]] * 3).reasons[0]


def test_images_in_which_nothing_is_seen_do_not_count_for_the_scores() -> None:
    gate = Gate([Sample("", IMAGE, _truth(FOUND[:2]))] * 2, [FOUND, NOTHING], NAMES, Limits())
    assert gate.judge([FOUND, NOTHING]).score_ratio == 1.0


def test_there_must_be_something_to_judge_by() -> None:
    with pytest.raises(ConfigurationError, match=r"finds nothing with a score of 0.25 or more in 2 images"):
        Gate([Sample("", IMAGE, None)] * 2, [FOUND[2:], NOTHING], NAMES, Limits())
    with pytest.raises(ConfigurationError, match="no box of a class"):
        Gate([Sample("", IMAGE, _truth(NOTHING))] * 2, [FOUND, FOUND], NAMES, Limits())
