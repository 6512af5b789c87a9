# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.train.alerts import metrics


def certain(guesses: list[int], probability: float = 1.0) -> np.ndarray:
    rest = (1.0 - probability) / (len(CLASSES) - 1)
    made = np.full((len(guesses), len(CLASSES)), rest)
    made[np.arange(len(guesses)), guesses] = probability
    return made


def test_f1_is_the_mean_over_classes_that_are_there_or_guessed() -> None:
    labels = np.array([0, 0, 1, 1])
    # SN Ia: precision 1, recall 1/2; SN II: 2/3, 1; nothing else is mentioned.
    assert metrics.macro_f1(labels, certain([0, 1, 1, 1])) == pytest.approx((2 / 3 + 4 / 5) / 2)
    # A class that is guessed wrongly counts as one of F1 0.
    assert metrics.macro_f1(labels, certain([0, 0, 1, 7])) == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_balanced_accuracy_weighs_classes_alike() -> None:
    labels = np.array([0] * 8 + [1, 1])
    assert metrics.balanced_accuracy(labels, certain([0] * 10)) == pytest.approx(0.5)


def test_balanced_accuracy_among_some_chooses_among_them() -> None:
    labels = np.array([0, 1, 5])
    probabilities = certain([5, 5, 5], 0.9)
    probabilities[0, 0] += 0.01
    probabilities[1, 1] += 0.01
    assert metrics.balanced_accuracy(labels, probabilities, metrics.SUPERNOVAE) == 1.0


def test_log_loss_counts_tidal_disruptions_twice() -> None:
    labels = np.array([CLASSES.index("SN Ia")] * 5 + [CLASSES.index("TDE")])
    probabilities = np.full((6, len(CLASSES)), 1e-9)
    probabilities[:5, CLASSES.index("SN Ia")] = np.exp(-1.0)
    probabilities[5, CLASSES.index("TDE")] = np.exp(-4.0)
    assert metrics.log_loss(labels, probabilities) == pytest.approx((1.0 + 2 * 4.0) / 3)


def test_a_certain_error_costs_much_but_not_everything() -> None:
    assert 30.0 < metrics.log_loss(np.array([0]), certain([1])) < 40.0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    labels = np.zeros(10, np.int64)
    assert metrics.calibration_error(labels, certain([0] * 8 + [1] * 2, 0.8)) == pytest.approx(0.0)
    assert metrics.calibration_error(labels, certain([0] * 5 + [1] * 5, 0.9)) == pytest.approx(0.4)


def test_the_threshold_gives_the_accuracy_that_was_asked_for() -> None:
    labels = np.zeros(4, np.int64)
    probabilities = np.concatenate(
        [certain([0], 0.9), certain([0], 0.8), certain([1], 0.6), certain([0], 0.5)]
    )
    assert metrics.threshold(labels, probabilities, 1.0) == pytest.approx(0.8)
    assert metrics.threshold(labels, probabilities, 0.75) == pytest.approx(0.5)
    assert metrics.threshold(labels + 2, probabilities, 0.5) == 1.0
