# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Explosions that radioactive nickel heats: photospheres that cool while lines come to cover their blue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lowlat_nodes.sim.sky.diffusion import diffused, radioactive_power
from lowlat_nodes.sim.sky.photosphere import PHASES_DAYS, Line, Photosphere
from lowlat_nodes.sim.sky.warp import Warp


@dataclass(frozen=True, slots=True)
class Heated:
    """What an explosion that nickel heats looks like.

    Attributes:
        magnitude: Absolute AB magnitude of the maximum at the anchor.
        anchor_um: Wavelength that the light curve holds at.
        diffusion_days: Time scale on which light gets out, 8 to 25 days.
        escape_days: Time after which gamma rays no longer heat: how fast the tail falls.
        hot_kelvin: Temperature well before the maximum.
        cool_kelvin: Temperature well after it.
        cooling_days: Days after the maximum by which half of that cooling has happened.
        blanketing: Strength before and after the maximum (see `Photosphere`).
        ultraviolet: What lines take away shortward of 0.30 um.
        contrast: Exponent of the light curve: what is above 1 has more peak and less tail than Arnett (1982).
        early_mag: How much fainter than the maximum the cooling envelope is at first; infinite for none.
        early_days: How fast it fades, days for each e-fold.
        warp_mag: How far from all that it is.
    """

    magnitude: float
    anchor_um: float
    diffusion_days: float
    escape_days: float
    hot_kelvin: float
    cool_kelvin: float
    cooling_days: float
    blanketing: tuple[float, float]
    ultraviolet: float = 0.3
    contrast: float = 1.0
    early_mag: float = np.inf
    early_days: float = 2.5
    warp_mag: float = 0.07


def radioactive(rng: np.random.Generator, heated: Heated) -> Photosphere:
    """Return an explosion heated by nickel 56 and cobalt 56 (Arnett 1982; Clocchiatti and Wheeler 1997)."""
    t = PHASES_DAYS
    escape = 1 - np.exp(-((heated.escape_days / t) ** 2))
    light = diffused(t, radioactive_power(t) * escape, max(heated.diffusion_days, 4.0))
    peak = int(light.argmax())
    light = (light / light[peak]) ** heated.contrast
    since = t - t[peak]
    width = 0.45 * heated.diffusion_days
    cooled = 1 / (1 + np.exp(-(since - heated.cooling_days) / width))
    kelvin = heated.hot_kelvin + (heated.cool_kelvin - heated.hot_kelvin) * cooled
    # The nebula that is left grows a little bluer.
    kelvin = kelvin * (1 + 0.12 * np.clip((since - 30) / 60, 0.0, 1.0))
    before, after = heated.blanketing
    blanketing = (before + (after - before) * cooled) * np.exp(rng.normal(0.0, 0.3))
    blanketing *= 1 - rng.uniform(0.2, 0.5) * np.clip((since - 20) / 60, 0.0, 1.0)
    if np.isfinite(heated.early_mag):
        early = 10 ** (-0.4 * heated.early_mag) * np.exp(-t / heated.early_days) * (1 - np.exp(-t))
        share = early / (early + light)
        light = light + early
        hot = 2.2e4 * np.maximum(t, 0.5) ** -0.35
        kelvin = kelvin + share * np.maximum(hot - kelvin, 0.0)
        blanketing *= 1 - share
    calcium = rng.uniform(0.05, 0.5) * np.clip((since - 10) / 50, 0.0, 1.0)
    oxygen = rng.uniform(0.0, 0.3) * np.clip((since - 30) / 60, 0.0, 1.0)
    absorbed = rng.uniform(0.0, 0.15) * np.clip((since + 10) / 25, 0.0, 1.0)
    lines = (Line(0.86, calcium), Line(0.635, oxygen), Line(0.50, -absorbed))
    magnitude = heated.magnitude - 2.5 * np.log10(np.maximum(light, 1e-12))
    return Photosphere(
        anchor_um=heated.anchor_um,
        magnitude=magnitude,
        kelvin=kelvin,
        blanketing=blanketing,
        edge_um=float(rng.normal(0.47, 0.015)),
        ultraviolet=heated.ultraviolet,
        lines=lines,
        warp=Warp.draw(rng, heated.warp_mag),
    )
