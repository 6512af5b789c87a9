# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What everything in the sky can do: say how bright it is at a time and a wavelength."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SkyObject(Protocol):
    """Something that varies, as an image that is subtracted from another shows it."""

    @property
    def label(self) -> int:
        """Its class, an index in `alerts.classes.CLASSES`."""

    @property
    def persistent(self) -> bool:
        """Whether it was there before and will be there after; else it happens once."""

    @property
    def start_mjd(self) -> float:
        """When it begins to be worth observing."""

    @property
    def end_mjd(self) -> float:
        """When it ceases to be worth observing."""

    @property
    def peak_mjd(self) -> float:
        """When it is brightest in visible light."""

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how bright it is, as a passband of that wavelength sees it.

        Of what persists that is all that shines, and a survey subtracts its template; of what happens once
        it is what shines more than before.

        Args:
            mjd: float64 [n], days, in any order.
            wavelength_um: float64 [n], effective wavelengths of the passbands in the observer's frame.

        Returns:
            float64 [n], nJy (AB), finite; 0 before a transient began.
        """


class Draw(Protocol):
    """How a class draws its objects."""

    def __call__(self, rng: np.random.Generator, faintest_mag: float, mjd: float) -> SkyObject:
        """Return an object whose peak in its brightest optical passband is near a time and not too faint.

        Args:
            rng: All that is random comes from here: the same state gives the same object.
            faintest_mag: AB magnitude that the peak is brighter than.
            mjd: Days; the peak is within a few days of it.
        """
