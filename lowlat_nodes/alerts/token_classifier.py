# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The classifier that ships: a transformer over the tokens of a light curve, as an ONNX file."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.onnx_classifier import OnnxClassifier
from lowlat_nodes.alerts.tokens import FIELDS, tokenise

CONTRACT: Final = "lowlat-alert-tokens-1"
SHIPPED: Final = "alerts"

_BATCH: Final = 12  # what a core's cache holds, with little padding
_TYPICAL_LENGTH: Final = 32


class TokenClassifier(OnnxClassifier):
    """Class probabilities of alerts from their light curves; see `OnnxClassifier`."""

    name = "tokens"
    batch = _BATCH
    contract = CONTRACT
    shipped = SHIPPED
    trainer = "lowlat train alerts"
    expected: ClassVar = {"fields": FIELDS}

    @classmethod
    def example(cls) -> dict[str, NDArray[np.float32]]:
        """Return a rise and a fall in two passbands."""
        days = np.linspace(-30.0, 0.0, _TYPICAL_LENGTH)
        peaks = np.geomspace(1e3, 1e6, _BATCH)[:, None]
        values = np.empty((_BATCH, _TYPICAL_LENGTH, len(FIELDS)), np.float32)
        values[..., 0] = days
        values[..., 1] = np.where(np.arange(_TYPICAL_LENGTH) % 2, 0.480, 0.644)
        values[..., 2] = peaks * np.exp(-(((days + 10.0) / 12.0) ** 2))
        values[..., 3] = 0.05 * peaks
        values[..., 4] = values[..., 2] > 5.0 * values[..., 3]
        return {"tokens": values}

    def classify(self, light_curves: LightCurves) -> NDArray[np.float32]:
        """Return class probabilities, float32 [n, 12] in the order of `CLASSES`; each row sums to 1.

        Of an alert without epochs nothing is known, so all classes are equally likely.
        """
        tokens = tokenise(light_curves)
        probabilities = np.empty((len(tokens), len(CLASSES)), np.float32)
        for alerts, values in tokens.batches(_BATCH):
            probabilities[alerts] = self.probabilities({"tokens": values})
        probabilities[np.diff(tokens.offsets) == 0] = 1.0 / len(CLASSES)
        return probabilities
