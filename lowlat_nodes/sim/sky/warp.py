# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Smooth random deviations of a spectrum in time and wavelength: no two real objects follow one formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """A few plane waves over logarithmic time and logarithmic wavelength, in magnitudes.

    Attributes:
        amplitude_mag: float64 [waves].
        per_time: float64 [waves], radians for each e-fold of time.
        per_wavelength: float64 [waves], radians for each e-fold of wavelength.
        phase: float64 [waves], radians.
    """

    amplitude_mag: NDArray[np.float64]
    per_time: NDArray[np.float64]
    per_wavelength: NDArray[np.float64]
    phase: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, rms_mag: float, waves: int = 4) -> Warp:
        """Draw a warp of a typical size; waves of long periods are the larger ones."""
        per_time = rng.normal(0.0, 2.5, waves)
        per_wavelength = rng.normal(0.0, 4.0, waves)
        size = 1 / (1 + 0.2 * np.abs(per_time) + 0.1 * np.abs(per_wavelength))
        amplitude = rng.normal(0.0, 1.0, waves) * size * rms_mag * np.sqrt(2 / waves) * 1.4
        return cls(amplitude, per_time, per_wavelength, rng.uniform(0, 2 * np.pi, waves))

    def __call__(
        self, phase_days: NDArray[np.float64], ln_wavelength: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return float64 [n] magnitudes at times since the explosion (days, all above 0) and wavelengths."""
        ln_time = np.log1p(phase_days / 5.0)
        angle = np.multiply.outer(self.per_time, ln_time)
        angle += np.multiply.outer(self.per_wavelength, ln_wavelength)
        angle += self.phase[:, None]
        return self.amplitude_mag @ np.cos(angle)
