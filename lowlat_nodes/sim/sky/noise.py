# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How large the errors are that surveys state for the flux of a difference image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """The variance is that of the sky, of the photons of all that shines there, and of a bad subtraction.

    With s the error due to the sky alone, D the difference and T the flux in the template it is
    (sky s)^2 + photons s (|D| + T) + (difference D)^2 + (template T)^2, and the logarithm of the error
    scatters about that (seeing, crowding, how well the images match).

    Attributes:
        sky: Of s, where s is a fifth of the limit that the survey states.
        photons: Of the product of s and flux: photon noise where a deep image collects more of them.
        difference: Of the difference.
        template: Of the flux in the template.
        scatter: Standard deviation of the logarithm.
    """

    sky: float
    photons: float
    difference: float
    template: float
    scatter: float

    def error_njy(self, sky_njy: Floats, difference_njy: Floats, template_njy: Floats | float) -> Floats:
        """Return the median error of each epoch, float64 [n] as the arguments, in nJy."""
        return np.sqrt(
            np.square(self.sky * sky_njy)
            + self.photons * sky_njy * (np.abs(difference_njy) + template_njy)
            + np.square(self.difference * difference_njy)
            + np.square(self.template * template_njy)
        )


ZTF_NOISE = Noise(sky=0.994, photons=0.0220, difference=0.0320, template=0.0055, scatter=0.252)
"""By `train.alerts_noise` from 759 detections in 73 real alerts (2018 to 2024), 58 % on a star or galaxy."""

LSST_NOISE = Noise(sky=1.0, photons=0.0040, difference=0.0066, template=0.0, scatter=0.094)
"""By `train.alerts_noise` from 1,741 sources of 7 real alerts of one night in 2026."""

LSST_SKY_NJY = {
    "lsst_u": 400.0,
    "lsst_g": 150.0,
    "lsst_r": 180.0,
    "lsst_i": 228.0,
    "lsst_z": 360.0,
    "lsst_y": 1064.0,
}
"""Median error due to the sky, from the same fit. None of those sources is in u: there it is that of g times
the ratio of the depths of a visit (Ivezic et al. 2019)."""

ZTF_LIMIT_MAG = {
    "ztf_g": (16.1, 18.6, 19.5, 20.03, 20.38, 20.82, 21.07),
    "ztf_r": (15.9, 17.9, 19.3, 19.89, 20.26, 20.70, 20.90),
    "ztf_i": (17.9, 18.8, 19.2, 19.55, 19.77, 19.95, 20.14),
}
"""Percentiles 1, 5, 25, 50, 75, 95 and 99 of `diffmaglim` in 1,591 non-detections of the same ZTF alerts."""
LIMIT_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
