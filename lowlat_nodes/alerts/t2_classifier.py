# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The published way to classify alerts: t2 on light curves that a Gaussian process has interpolated."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.gaussian_process import STEPS
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.onnx_classifier import OnnxClassifier
from lowlat_nodes.alerts.t2_inputs import PASSBANDS, around_detections, t2_inputs
from lowlat_nodes.inference.backend_settings import ONE_THREAD, BackendSettings
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing

CONTRACT: Final = "lowlat-t2-1"
SHIPPED: Final = "alerts_t2"

_BATCH: Final = 4  # the attention of more leaves the cache


class T2Classifier(OnnxClassifier):
    """Class probabilities of alerts from their interpolated light curves; see `OnnxClassifier`."""

    name = "t2"
    batch = _BATCH
    contract = CONTRACT
    shipped = SHIPPED
    trainer = "lowlat train t2"
    expected: ClassVar = {"passbands": PASSBANDS}

    def __init__(
        self,
        path: Path | None = None,
        settings: BackendSettings = ONE_THREAD,
        sharing: Sharing = ALONE,
    ) -> None:
        super().__init__(path, settings, sharing)
        t2_inputs(_one_epoch())  # what interpolates is compiled here, not at the first alert

    @classmethod
    def example(cls) -> dict[str, NDArray[np.float32]]:
        """Return a rise and a fall of many sizes."""
        peaks = np.geomspace(1e3, 1e6, _BATCH)[:, None, None]
        shape = np.exp(-(((np.arange(STEPS) - 50.0) / 20.0) ** 2))[:, None]
        flux = np.broadcast_to(peaks * shape, (_BATCH, STEPS, len(PASSBANDS))).astype(np.float32)
        return {
            "flux_njy": flux,
            "error_njy": np.full_like(flux, 1e3),
            "span_days": np.full(_BATCH, 30.0, np.float32),
        }

    def classify(self, light_curves: LightCurves) -> NDArray[np.float32]:
        """Return class probabilities, float32 [n, 12] in the order of `CLASSES`; each row sums to 1.

        Of an alert without epochs nothing is known, so all classes are equally likely.
        """
        seen = around_detections(light_curves)
        inputs = t2_inputs(seen)
        probabilities = np.empty((len(light_curves), len(CLASSES)), np.float32)
        for start in range(0, len(light_curves), _BATCH):
            rows = slice(start, start + _BATCH)
            feed = {name: values[rows] for name, values in inputs.items()}
            probabilities[rows] = self.probabilities(feed)
        probabilities[np.diff(seen.offsets) == 0] = 1.0 / len(CLASSES)
        return probabilities


def _one_epoch() -> LightCurves:
    number, true = np.ones(1), np.ones(1, np.bool_)
    return LightCurves(
        np.zeros(1, np.int64), [""], np.array([0, 1]), number, np.zeros(1, np.uint8), number, number, true
    )
