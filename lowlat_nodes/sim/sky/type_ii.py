# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Supernovae with hydrogen: plateaus and linear declines, narrow lines, and ones like SN 1987A."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import dust
from lowlat_nodes.sim.sky.explosion import Explosion, Host, explode
from lowlat_nodes.sim.sky.photosphere import PHASES_DAYS, Line, Photosphere
from lowlat_nodes.sim.sky.warp import Warp

LABEL = CLASSES.index("SN II")


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Explosion:
    """Draw a type II supernova: 79 % IIP and IIL, which are one family, 18 % IIn, 3 % like SN 1987A.

    The shares are those of magnitude-limited samples (Li et al. 2011; Perley et al. 2020) and of Pastorello
    et al. (2012).
    """
    kind = rng.random()
    if kind < 0.79:
        source = _draw_plateau(rng)
        host = Host(*dust.draw_host(rng, mean_ebv=0.16, clear=0.3))
    elif kind < 0.97:
        source = draw_interacting(rng, float(rng.normal(-19.0, 0.9)))
        host = Host(*dust.draw_host(rng, mean_ebv=0.12, clear=0.4))
    else:
        source = _draw_87a(rng)
        host = Host(*dust.draw_host(rng, mean_ebv=0.12, clear=0.3))
    return explode(rng, LABEL, source, host, faintest_mag, mjd)


def _rise(rise_days: float, steepness: float) -> NDArray[np.float64]:
    """Return flux over `PHASES_DAYS` that grows to 1: fast at first, as shocks that cool do."""
    left = np.clip(1 - PHASES_DAYS / rise_days, 0.0, 1.0)
    return 1 - left**steepness


def _since(start_days: float, width_days: float) -> NDArray[np.float64]:
    """Return the days since a time, 0 before it, with a smooth bend, over `PHASES_DAYS`."""
    return width_days * np.logaddexp(0.0, (PHASES_DAYS - start_days) / width_days)


def _ramp(start_days: float, end_days: float) -> NDArray[np.float64]:
    """Return 0 before a time, 1 after another, over `PHASES_DAYS`."""
    return np.clip((PHASES_DAYS - start_days) / (end_days - start_days), 0.0, 1.0)


def _draw_plateau(rng: np.random.Generator) -> Photosphere:
    """Draw a light curve in V after Anderson et al. (2014) and a temperature after Faran et al. (2018).

    Peak, slopes and lengths have the means and spreads of Anderson et al. (2014), with their correlation:
    bright ones decline faster and end earlier. Rises are those of Gonzalez-Gaitan et al. (2015).
    """
    t = PHASES_DAYS
    unit = rng.normal()
    peak = -17.15 - 0.95 * unit
    plateau_slope = 1.27 + 0.95 * (0.65 * unit + 0.76 * rng.normal())
    plateau_slope = float(np.clip(plateau_slope, -0.7, 4.5))
    first_slope = plateau_slope + abs(rng.normal(1.3, 1.1))
    rise_days = float(np.clip(np.exp(rng.normal(np.log(9.5), 0.35)), 3.0, 25.0))
    turn = rise_days + float(np.clip(rng.normal(26.0, 7.0), 10.0, 45.0))
    end = float(np.clip(rng.normal(90.0 - 8.0 * (plateau_slope - 1.27), 15.0), turn + 15.0, 150.0))
    fall = float(np.clip(rng.normal(1.7, 0.45) - 0.15 * unit, 0.5, 3.0))
    quickness = float(np.clip(rng.normal(5.0, 1.8), 2.0, 10.0))
    tail_slope = float(np.clip(rng.normal(1.3, 0.4), 0.8, 3.0))

    after, after_turn, after_end = (_since(start, 3.0) for start in (rise_days, turn, end))
    first, second, last = after - after_turn, after_turn - after_end, after_end
    magnitude = peak + 0.01 * (first_slope * first + plateau_slope * second + tail_slope * last)
    magnitude += fall / (1 + np.exp(-(t - end) / quickness))
    magnitude -= 2.5 * np.log10(_rise(rise_days, rng.uniform(1.7, 4.0)))

    hot = float(np.clip(rng.normal(10200.0 + 500.0 * unit, 900.0), 7500.0, 14000.0))
    floor = float(rng.normal(5000.0, 250.0))
    cooling = hot * (t / 10.0) ** -rng.uniform(0.5, 0.75)
    kelvin = np.minimum((cooling**2.5 + floor**2.5) ** 0.4, 28000.0)
    strength = float(np.exp(rng.normal(0.0, 0.25)))
    blanketing = strength * (0.75 * _ramp(12.0, 55.0) + 0.35 * _ramp(55.0, 120.0))
    hydrogen = rng.uniform(0.05, 0.3) * _ramp(8.0, 60.0) + rng.uniform(0.1, 0.5) * _ramp(end, end + 60.0)
    calcium = rng.uniform(0.0, 0.25) * _ramp(40.0, 120.0)
    return Photosphere(
        anchor_um=0.55,
        magnitude=magnitude,
        kelvin=kelvin,
        blanketing=blanketing,
        edge_um=float(rng.normal(0.47, 0.015)),
        ultraviolet=float(rng.uniform(0.0, 0.3)),
        lines=(Line(0.66, hydrogen), Line(0.86, calcium)),
        warp=Warp.draw(rng, 0.07),
    )


def draw_interacting(rng: np.random.Generator, peak: float) -> Photosphere:
    """Draw one that shines by running into what it lost before: slow, blue, diverse.

    Rises of 20 or 50 days, declines of 0.013 or 0.040 mag a day and their connection are those of Nyholm
    et al. (2020).
    """
    t = PHASES_DAYS
    fast = rng.random() < 0.65
    rise_days = float(np.exp(rng.normal(np.log(18.0), 0.33) if fast else rng.normal(np.log(48.0), 0.25)))
    quick = rng.random() < (0.5 if fast else 0.2)
    slope = float(np.clip(rng.normal(4.0, 1.0) if quick else rng.normal(1.3, 0.6), 0.2, 7.0))
    second_slope = slope * float(np.exp(rng.normal(-0.35, 0.4)))
    turn = rise_days + float(rng.uniform(25.0, 110.0))
    after = _since(rise_days, float(rng.uniform(0.15, 0.5)) * rise_days)
    last = _since(turn, 10.0)
    magnitude = peak + 0.01 * (slope * (after - last) + second_slope * last)
    magnitude -= 2.5 * np.log10(_rise(rise_days * 1.1, rng.uniform(1.5, 3.0)))
    if rng.random() < 0.1:
        away = (t - rise_days - rng.uniform(20.0, 120.0)) / rng.uniform(8.0, 30.0)
        magnitude -= rng.uniform(0.1, 0.5) * np.exp(-0.5 * away**2)
    hot = float(rng.normal(14000.0, 2500.0))
    floor = float(rng.normal(7000.0, 800.0))
    kelvin = floor + (max(hot, 9000.0) - floor) / (1 + t / (1.3 * rise_days)) ** rng.uniform(0.8, 1.8)
    hydrogen = rng.uniform(0.0, 0.25) + rng.uniform(0.0, 0.5) * _ramp(rise_days, rise_days + 120.0)
    return Photosphere(
        anchor_um=0.62,
        magnitude=magnitude,
        kelvin=kelvin,
        blanketing=float(rng.uniform(0.0, 0.6)) * _ramp(rise_days, rise_days + 60.0),
        edge_um=float(rng.normal(0.47, 0.015)),
        ultraviolet=float(rng.uniform(0.0, 0.3)),
        lines=(Line(0.66, hydrogen),),
        warp=Warp.draw(rng, 0.09),
    )


def _draw_87a(rng: np.random.Generator) -> Photosphere:
    """Draw the explosion of a blue supergiant: red, rising for months (Taddia et al. 2016)."""
    t = PHASES_DAYS
    peak_days = float(np.clip(rng.normal(82.0, 12.0), 55.0, 115.0))
    light = np.exp(-0.5 * ((t - peak_days) / rng.uniform(26.0, 36.0)) ** 2)
    light = np.where(t < peak_days, np.maximum(light, 0.18 * _rise(5.0, 2.0)), light)
    tail = 0.45 * np.exp(-(t - peak_days) / 105.0) * _ramp(peak_days - 20, peak_days + 40)
    magnitude = rng.normal(-16.3, 0.6) - 2.5 * np.log10(np.maximum(light, 1e-9) + tail)
    floor = float(rng.normal(5200.0, 250.0))
    kelvin = np.minimum(floor + 6500.0 * np.exp(-t / 5.0), 14000.0)
    strength = float(np.exp(rng.normal(0.0, 0.25)))
    return Photosphere(
        anchor_um=0.55,
        magnitude=magnitude,
        kelvin=kelvin,
        blanketing=strength * 1.15 * _ramp(3.0, 20.0),
        edge_um=float(rng.normal(0.47, 0.015)),
        ultraviolet=0.3,
        lines=(Line(0.66, rng.uniform(0.1, 0.3) * _ramp(8.0, 60.0)),),
        warp=Warp.draw(rng, 0.07),
    )
