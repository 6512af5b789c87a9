# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The classifier that ships: a transformer over the tokens of a light curve, as an ONNX file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes import resources
from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.model_metadata import read_threshold
from lowlat_nodes.alerts.tokens import FIELDS, tokenise
from lowlat_nodes.inference import backends
from lowlat_nodes.inference.backend_settings import ONE_THREAD, BackendSettings
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing

CONTRACT: Final = "lowlat-alert-tokens-1"
SHIPPED: Final = "alerts"

_BATCH: Final = 12  # what a core's cache holds, with little padding
_TYPICAL_LENGTH: Final = 32


class TokenClassifier:
    """Class probabilities of alerts from their light curves; used by one thread.

    Attributes:
        name: Of the kind of model.
        sha256: Of its file, hexadecimal.
        threshold: Probability of the likeliest class below which to abstain.
        batch: How many light curves the model takes at a time.
        backend: What runs it, in words.

    Args:
        path: An .onnx file of `lowlat train alerts`; None takes the one that ships.
        settings: What runs it; where they leave a choice, it is timed here, on this machine.
        sharing: Whether it is cut into parts, see `backends.load`.

    Raises:
        ConfigurationError: If the file is missing or none of those, or does not fit the settings.
        MissingExtra: If the library that was asked for is not installed.
    """

    name = "tokens"
    batch = _BATCH

    def __init__(
        self,
        path: Path | None = None,
        settings: BackendSettings = ONE_THREAD,
        sharing: Sharing = ALONE,
    ) -> None:
        path = resources.model(SHIPPED) if path is None else path
        self.threshold = read_threshold(
            path,
            backends.signature(path).metadata,
            CONTRACT,
            trainer="lowlat train alerts",
            expected={"fields": FIELDS},
        )
        loaded = backends.load(
            path, settings, further={"tokens": _example()}, outputs=["probabilities"], sharing=sharing
        )
        self._model = loaded.model
        self.backend = loaded.candidate.describe()
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def classify(self, light_curves: LightCurves) -> NDArray[np.float32]:
        """Return class probabilities, float32 [n, 12] in the order of `CLASSES`; each row sums to 1.

        Of an alert without epochs nothing is known, so all classes are equally likely.
        """
        tokens = tokenise(light_curves)
        probabilities = np.empty((len(tokens), len(CLASSES)), np.float32)
        for alerts, values in tokens.batches(_BATCH):
            probabilities[alerts] = self._model.run({"tokens": values}, ["probabilities"])[0]
        probabilities[np.diff(tokens.offsets) == 0] = 1.0 / len(CLASSES)
        return probabilities


def _example() -> NDArray[np.float32]:
    """Return a batch as it often comes, to run the model with: a rise and a fall in two passbands."""
    days = np.linspace(-30.0, 0.0, _TYPICAL_LENGTH)
    peaks = np.geomspace(1e3, 1e6, _BATCH)[:, None]
    values = np.empty((_BATCH, _TYPICAL_LENGTH, len(FIELDS)), np.float32)
    values[..., 0] = days
    values[..., 1] = np.where(np.arange(_TYPICAL_LENGTH) % 2, 0.480, 0.644)
    values[..., 2] = peaks * np.exp(-(((days + 10.0) / 12.0) ** 2))
    values[..., 3] = 0.05 * peaks
    values[..., 4] = values[..., 2] > 5.0 * values[..., 3]
    return values
