# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How good class probabilities are, float [n, 12], against labels, int64 [n]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES, TREE

SUPERNOVAE: Final = tuple(CLASSES.index(name) for name in TREE["transient"]["supernova"])
_WEIGHTS: Final = {"TDE": 2.0}  # of the PLAsTiCC challenge (Malz et al. 2019); 1 for the others
_LEAST: Final = 1e-15

Probabilities = NDArray[np.floating]


def confusion(labels: NDArray[np.int64], guesses: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts by label and guess, int64 [12, 12]."""
    n = len(CLASSES)
    return np.bincount(labels * n + guesses, minlength=n * n).reshape(n, n)


def f1_scores(labels: NDArray[np.int64], probabilities: Probabilities) -> NDArray[np.float64]:
    """F1 of each class, float64 [12]; not a number for one that is neither there nor guessed."""
    counts = confusion(labels, probabilities.argmax(1))
    total = counts.sum(0) + counts.sum(1)
    return np.divide(2.0 * counts.diagonal(), total, out=np.full(len(total), np.nan), where=total > 0)


def macro_f1(labels: NDArray[np.int64], probabilities: Probabilities) -> float:
    """The mean of the F1 of the classes that are there or guessed."""
    return float(np.nanmean(f1_scores(labels, probabilities)))


def balanced_accuracy(
    labels: NDArray[np.int64], probabilities: Probabilities, classes: Sequence[int] | None = None
) -> float:
    """The mean recall of the classes that are there; with `classes`, of these, chosen among them alone."""
    if classes is not None:
        inside = np.isin(labels, classes)
        labels, probabilities = labels[inside], probabilities[inside]
        guesses = np.asarray(classes)[probabilities[:, list(classes)].argmax(1)]
    else:
        guesses = probabilities.argmax(1)
    counts = confusion(labels, guesses)
    there = counts.sum(1) > 0
    return float((counts.diagonal()[there] / counts.sum(1)[there]).mean())


def log_loss(labels: NDArray[np.int64], probabilities: Probabilities) -> float:
    """The log-loss of PLAsTiCC (Malz et al. 2019, arXiv 1809.11145), where classes count alike, TDE twice."""
    lost = -np.log(np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), _LEAST, 1.0))
    counts = np.bincount(labels, minlength=len(CLASSES))
    means = np.bincount(labels, lost, minlength=len(CLASSES)) / np.maximum(counts, 1)
    weights = np.array([_WEIGHTS.get(name, 1.0) for name in CLASSES]) * (counts > 0)
    return float((weights * means).sum() / weights.sum())


def calibration_error(labels: NDArray[np.int64], probabilities: Probabilities, bins: int = 15) -> float:
    """The expected calibration error of the likeliest class, in bins of equal width (Guo et al. 2017)."""
    best = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    place = np.minimum((best * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, right - best, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def threshold(labels: NDArray[np.int64], probabilities: Probabilities, accuracy: float) -> float:
    """The least probability from which on the likeliest class is right as often as asked, else 1."""
    best = probabilities.max(1)
    order = np.argsort(-best, kind="stable")
    right = np.cumsum(probabilities.argmax(1)[order] == labels[order])
    good = np.flatnonzero(right >= accuracy * np.arange(1, len(order) + 1))
    return float(best[order[good[-1]]]) if len(good) else 1.0
