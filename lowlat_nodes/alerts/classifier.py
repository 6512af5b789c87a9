# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a classifier of light curves is, whatever network is behind it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import LightCurves


class Classifier(Protocol):
    """Makes class probabilities of light curves; used by one thread at a time.

    Attributes:
        name: Of the model.
        sha256: Of its file, hexadecimal.
        threshold: The least probability of a class that is named; below it a result abstains.
        batch: How many light curves its model takes at a time.
    """

    name: str
    sha256: str
    threshold: float
    batch: int

    def classify(self, light_curves: LightCurves) -> NDArray[np.float32]:
        """Return float32 [n, 12]: the probabilities of `classes.CLASSES`, which sum to 1 in each row."""
        ...
