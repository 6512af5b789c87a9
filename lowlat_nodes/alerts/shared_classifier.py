# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A classifier on a device that is shared: it works through a large batch some alerts at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.classifier import Classifier
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.inference.segments.sharing import Sharing

_EPOCHS: Final = (12, 150)  # of alerts as they come
_FORGET_BITS: Final = 4  # what an alert costs moves by a 16th of the difference below it
_PEAK_DAYS: Final = 40.0


class SharedClassifier:
    """Classifies as another classifier does, in jobs and segments of a turn.

    A batch is a job. A segment is as many alerts as will be done in the wished time, as measured on the last
    ones; the shorter light curves come first, so that the network pads as little as it does in one piece.

    Args:
        classifier: Does the work.
        sharing: With whom, and the length of segments.
        clock: Measures what alerts cost, ns.

    Attributes:
        name: Of the model.
        sha256: Of its file, hexadecimal.
        batch: How many alerts the model takes at a time.
    """

    def __init__(
        self,
        classifier: Classifier,
        sharing: Sharing,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.name = classifier.name
        self.sha256 = classifier.sha256
        self.batch = classifier.batch
        self._classifier = classifier
        self._turn = sharing.turn
        self._segment_ns = sharing.segment_ms * 1e6
        self._clock = clock
        self._alert_ns = 0.0  # what one costs, of late

    @property
    def threshold(self) -> float:
        """Return the least probability of a class that is named."""
        return self._classifier.threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        self._classifier.threshold = threshold

    def classify(self, light_curves: LightCurves) -> NDArray[np.float32]:
        """Return float32 [n, 12] in the order of the light curves, whatever the order of the work.

        Raises:
            TurnTimeout: If the device was not to be had in time.
        """
        with self._turn.job():
            if not self._segment_ns:
                return self._classifier.classify(light_curves)
            return self._in_segments(light_curves)

    def warm_up(self, sharing: Sharing, alerts: int) -> None:
        """Classify made-up light curves of 12 to 150 epochs, so that what a batch costs can be declared.

        Args:
            sharing: Says how often.
            alerts: Of a full batch.
        """
        curves = example_curves(alerts)
        for _ in sharing.warm_ups():
            self.classify(curves)

    def _in_segments(self, light_curves: LightCurves) -> NDArray[np.float32]:
        order = np.argsort(np.diff(light_curves.offsets), kind="stable")
        probabilities = np.empty((len(order), len(CLASSES)), np.float32)
        start = 0
        while start < len(order):
            if start:
                self._turn.between()
            alerts = order[start : start + self._size()]
            begin_ns = self._clock()
            probabilities[alerts] = self._classifier.classify(light_curves.take(alerts))
            self._learn((self._clock() - begin_ns) / len(alerts))
            start += len(alerts)
        return probabilities

    def _size(self) -> int:
        """Return how many alerts a segment may have; full batches of the model where these fit in."""
        if not self._alert_ns:
            return self.batch
        fitting = int(self._segment_ns / self._alert_ns)
        return max(1, fitting - fitting % self.batch if fitting > self.batch else fitting)

    def _learn(self, alert_ns: float) -> None:
        below_ns = max(0.0, self._alert_ns - alert_ns)
        self._alert_ns = max(alert_ns, self._alert_ns - below_ns / (1 << _FORGET_BITS))


def example_curves(alerts: int) -> LightCurves:
    """Return light curves that rise and fall, in g and r, of 12 to 150 epochs and many sizes."""
    epochs = np.linspace(*_EPOCHS, alerts).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(epochs)])
    days = np.concatenate([np.linspace(0.0, 2.0 * _PEAK_DAYS, count) for count in epochs])
    peaks = np.repeat(np.geomspace(1e3, 1e6, alerts), epochs)
    flux = peaks * np.exp(-(((days - _PEAK_DAYS) / 15.0) ** 2))
    error = 0.05 * peaks
    bands = np.array([CODES["ztf_g"], CODES["ztf_r"]], np.uint8)
    return LightCurves(
        np.arange(alerts),
        [f"example {alert}" for alert in range(alerts)],
        offsets,
        60_000.0 + days,
        bands[np.arange(len(days)) % 2],
        flux,
        error,
        flux > 5.0 * error,
    )
