# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Type Ia supernovae: the template, stretched, coloured and scattered, and its odd relatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import hsiao
from lowlat_nodes.sim.sky.explosion import Explosion, Host, Source, explode
from lowlat_nodes.sim.sky.radioactive import Heated, radioactive
from lowlat_nodes.sim.sky.warp import Warp

LABEL = CLASSES.index("SN Ia")
_ALPHA = 0.14
_BLUE_UM = 0.44


@dataclass(frozen=True, slots=True, eq=False)
class Thermonuclear:
    """A stretched template (see `explosion.Source`); phase 0 is its maximum in B.

    Attributes:
        magnitude: Absolute AB magnitude at the maximum in B.
        rise_stretch: Factor of time before the maximum.
        fall_stretch: Factor of time after it.
        colour: Excess of B-V over the template's that is not due to dust.
        ultraviolet_mag: What is missing at 0.30 um.
        warp: Deviation from all that.
    """

    magnitude: float
    rise_stretch: float
    fall_stretch: float
    colour: float
    ultraviolet_mag: float
    warp: Warp

    @property
    def first_days(self) -> float:
        """The explosion."""
        return hsiao.FIRST_DAYS * self.rise_stretch

    @property
    def last_days(self) -> float:
        """When the template ends."""
        return hsiao.LAST_DAYS

    def flux_njy(
        self, phase_days: NDArray[np.float64], wavelength_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return float64 [n], nJy at 10 pc in its own frame, 0 before the explosion."""
        ln_wavelength = np.log(wavelength_um)
        stretch = np.where(phase_days < 0, self.rise_stretch, self.fall_stretch)
        ln_flux = hsiao.template()(phase_days / stretch, ln_wavelength)
        magnitude = self.magnitude + self.warp(np.maximum(phase_days + 20, 0.0), ln_wavelength)
        magnitude += self.colour * 2.9 * (np.exp(-1.9 * (ln_wavelength - np.log(_BLUE_UM))) - 1)
        magnitude += self.ultraviolet_mag * np.clip((0.40 - wavelength_um) / 0.10, 0.0, 2.0)
        flux: NDArray[np.float64] = np.exp(ln_flux - 0.4 * np.log(10) * (magnitude - 31.4))
        return np.where(phase_days > self.first_days, flux, 0.0)


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Explosion:
    """Draw a type Ia supernova: 87 % normal, 6 % like SN 1991T, 4 % like SN 1991bg, 3 % Iax.

    The shares are those of a magnitude-limited sample (Li et al. 2011; Foley et al. 2013). Raises as
    `hsiao.template` does.
    """
    kind = rng.random()
    source: Source
    if kind < 0.93:
        source = _draw_normal(rng, luminous=kind > 0.87)
    elif kind < 0.97:
        source = _draw_91bg(rng)
    else:
        source = _draw_iax(rng)
    return explode(rng, LABEL, source, _draw_host(rng), faintest_mag, mjd)


def _draw_host(rng: np.random.Generator) -> Host:
    """Draw dust: E(B-V) exponential, R(V) low and diverse (Brout and Scolnic 2021)."""
    massive = rng.random() < 0.55
    ebv = min(float(rng.exponential(0.14 if massive else 0.11)), 1.0)
    r_v = float(np.clip(rng.normal(1.7 if massive else 2.7, 0.9), 1.1, 4.5))
    return Host(ebv * r_v, r_v)


def _draw_normal(rng: np.random.Generator, *, luminous: bool) -> Thermonuclear:
    """Draw a width (Nicolas et al. 2021), an intrinsic colour (Brout and Scolnic 2021) and what follows.

    A width of x1 is a stretch of 0.98 + 0.091 x1 + 0.003 x1^2 - 0.00075 x1^3 (Guy et al. 2007); rise and
    decline stretch apart by a few per cent (Hayden et al. 2010).
    """
    if luminous:
        x1 = rng.normal(1.2, 0.5)
    else:
        x1 = rng.normal(0.37, 0.61) if rng.random() < 0.65 else rng.normal(-1.22, 0.65)
    x1 = float(np.clip(x1, -3.2, 3.0))
    stretch = 0.98 + 0.091 * x1 + 0.003 * x1**2 - 0.00075 * x1**3
    colour = float(rng.normal(-0.084, 0.045))
    magnitude = -19.45 - _ALPHA * x1 + 2.0 * colour + rng.normal(0.0, 0.11) - (0.2 if luminous else 0.0)
    return Thermonuclear(
        magnitude=float(magnitude),
        rise_stretch=float(stretch * np.exp(rng.normal(0.0, 0.05))),
        fall_stretch=float(stretch * np.exp(rng.normal(0.0, 0.025))),
        colour=colour,
        ultraviolet_mag=float(rng.normal(-0.1 if luminous else 0.0, 0.15)),
        warp=Warp.draw(rng, 0.045),
    )


def _draw_91bg(rng: np.random.Generator) -> Source:
    """Draw a cool and fast one: M(B) about -17.3, B-V about 0.5, one maximum in i (Taubenberger 2017)."""
    return radioactive(
        rng,
        Heated(
            magnitude=float(rng.normal(-17.75, 0.4)),
            anchor_um=0.55,
            diffusion_days=float(rng.normal(9.0, 0.8)),
            escape_days=float(rng.normal(28.0, 3.0)),
            hot_kelvin=float(rng.normal(8200.0, 500.0)),
            cool_kelvin=float(rng.normal(4400.0, 250.0)),
            cooling_days=float(rng.normal(4.0, 1.5)),
            blanketing=(0.75, 1.25),
        ),
    )


def _draw_iax(rng: np.random.Generator) -> Source:
    """Draw one like SN 2002cx: M(V) of -14 to -18.5, no shoulder in i (Foley et al. 2013; Jha 2017)."""
    return radioactive(
        rng,
        Heated(
            magnitude=float(min(-18.4 + rng.exponential(1.0), -14.0)),
            anchor_um=0.55,
            diffusion_days=float(rng.normal(10.5, 1.8)),
            escape_days=float(rng.normal(40.0, 7.0)),
            hot_kelvin=float(rng.normal(11000.0, 1000.0)),
            cool_kelvin=float(rng.normal(5000.0, 300.0)),
            cooling_days=float(rng.normal(5.0, 2.0)),
            blanketing=(0.35, 1.2),
        ),
    )
