# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A photosphere: a black body with lines in front of it, brightness and temperature given over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.sky.warp import Warp

PHASES_DAYS = np.concatenate(
    [np.geomspace(0.03, 10.0, 45), np.arange(10.5, 130.0, 1.5), np.geomspace(131.5, 900.0, 60)]
)
"""float64 [k], days since the explosion, for which photospheres are tabulated."""

_LN_PHASES = np.log(PHASES_DAYS)
_HC_K_UM_K = 14387.769
_ULTRAVIOLET_UM = 0.31
_EDGE_WIDTH_UM = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A broad feature of the spectrum, wide as passbands see it.

    Attributes:
        wavelength_um: Where.
        strength_mag: float64 [k], over `PHASES_DAYS`; above 0 for emission.
    """

    wavelength_um: float
    strength_mag: NDArray[np.float64]


def _planck(wavelength_um: NDArray[np.float64], kelvin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shape of f_nu of a black body."""
    exponent = np.minimum(_HC_K_UM_K / (wavelength_um * kelvin), 300.0)
    return wavelength_um**-3 / np.expm1(exponent)


@dataclass(frozen=True, slots=True, eq=False)
class Photosphere:
    """A source (see `explosion.Source`) whose brightness at one wavelength and whose temperature are known.

    Attributes:
        anchor_um: The wavelength at which the magnitudes hold.
        magnitude: float64 [k], absolute AB, over `PHASES_DAYS`.
        kelvin: float64 [k], temperature.
        blanketing: float64 [k], how strongly lines of metals take away the blue: 1 costs a passband at
            0.44 um 0.7 mag and one at 0.36 um 1.6 mag.
        edge_um: Shortward of which blanketing grows, about 0.47 um.
        ultraviolet: How strongly light shortward of 0.30 um is taken away, on the same scale.
        lines: Broad features.
        warp: Deviation from all that.
    """

    anchor_um: float
    magnitude: NDArray[np.float64]
    kelvin: NDArray[np.float64]
    blanketing: NDArray[np.float64]
    edge_um: float
    ultraviolet: float
    lines: tuple[Line, ...]
    warp: Warp

    @property
    def first_days(self) -> float:
        """When it begins: the explosion."""
        return 0.0

    @property
    def last_days(self) -> float:
        """When the table ends."""
        return float(PHASES_DAYS[-1])

    def flux_njy(
        self, phase_days: NDArray[np.float64], wavelength_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return float64 [n], nJy at 10 pc in its own frame, 0 before the explosion."""
        at = np.maximum(phase_days, 1e-3)
        ln_at = np.log(at)
        ln_wavelength = np.log(wavelength_um)
        magnitude = np.interp(ln_at, _LN_PHASES, self.magnitude)
        magnitude += self.warp(at, ln_wavelength)
        blanketing = np.interp(ln_at, _LN_PHASES, self.blanketing)
        anchored = _suppression(np.array(self.anchor_um), self.edge_um)
        magnitude += blanketing * (_suppression(wavelength_um, self.edge_um) - anchored)
        if self.ultraviolet:
            magnitude += self.ultraviolet * _suppression(wavelength_um, _ULTRAVIOLET_UM)
        for line in self.lines:
            away = (ln_wavelength - np.log(line.wavelength_um)) / 0.075
            magnitude -= np.interp(ln_at, _LN_PHASES, line.strength_mag) * np.exp(-0.5 * away * away)
        kelvin = np.interp(ln_at, _LN_PHASES, self.kelvin)
        colour = _planck(wavelength_um, kelvin) / _planck(np.array(self.anchor_um), kelvin)
        flux: NDArray[np.float64] = colour * 10 ** (-0.4 * (magnitude - 31.4))
        flux *= np.clip(phase_days / PHASES_DAYS[0], 0.0, 1.0)
        return flux


def _suppression(wavelength_um: NDArray[np.float64], edge_um: float) -> NDArray[np.float64]:
    """Return magnitudes lost shortward of an edge to a blanketing of 1."""
    lost: NDArray[np.float64] = 0.7 * np.logaddexp(0.0, (edge_um - wavelength_um) / _EDGE_WIDTH_UM)
    return lost
