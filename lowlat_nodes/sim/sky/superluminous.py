# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Superluminous supernovae: ones that a magnetar seems to heat, and the brightest that collide with gas."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import dust
from lowlat_nodes.sim.sky.diffusion import diffused, magnetar_power
from lowlat_nodes.sim.sky.explosion import Explosion, Host, explode
from lowlat_nodes.sim.sky.photosphere import PHASES_DAYS, Line, Photosphere
from lowlat_nodes.sim.sky.type_ii import draw_interacting
from lowlat_nodes.sim.sky.warp import Warp

LABEL = CLASSES.index("SLSN")


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Explosion:
    """Draw a superluminous supernova: 85 % without hydrogen, 15 % with it.

    Those with hydrogen are as IIn are, but brighter than -20.3 (Pessi et al. 2025).
    """
    host = Host(*dust.draw_host(rng, mean_ebv=0.07, clear=0.4))
    if rng.random() < 0.85:
        source = _draw_magnetar(rng)
    else:
        source = draw_interacting(rng, float(-20.3 - abs(rng.normal(0.0, 0.8))))
    return explode(rng, LABEL, source, host, faintest_mag, mjd)


def _draw_magnetar(rng: np.random.Generator) -> Photosphere:
    """Draw a hot and slow one, with or without bumps.

    Peaks, rises and declines follow De Cia et al. (2018), Lunnan et al. (2018) and Chen et al. (2023a): M(g)
    of -20 to -23, rises of 20 to 70 days that go with the declines; temperatures follow Inserra et al.
    (2018); bumps follow Hosseinzadeh et al. (2022) and Chen et al. (2023b).
    """
    t = PHASES_DAYS
    diffusion_days = float(np.clip(np.exp(rng.normal(np.log(35.0), 0.36)), 14.0, 90.0))
    spin_down_days = diffusion_days * float(np.exp(rng.normal(-0.3, 0.5)))
    light = diffused(t, magnetar_power(t, spin_down_days), diffusion_days)
    leak = diffusion_days * float(np.exp(rng.normal(1.2, 0.4)))
    light = light * (1 - np.exp(-((leak / t) ** 2)))
    peak = int(light.argmax())
    since = (t - t[peak]) / diffusion_days
    magnitude = rng.normal(-21.45, 0.75) - 2.5 * np.log10(np.maximum(light / light[peak], 1e-9))
    if rng.random() < 0.35:
        for _ in range(int(rng.integers(1, 4))):
            away = (since - rng.uniform(0.3, 4.0)) / rng.uniform(0.15, 0.5)
            magnitude -= rng.uniform(0.1, 0.6) * np.exp(-0.5 * away**2)
    if rng.random() < 0.15:
        early = 10 ** (-0.4 * rng.uniform(0.7, 2.5)) * np.exp(-0.5 * ((t - 6.0) / rng.uniform(2.5, 5.0)) ** 2)
        magnitude = -2.5 * np.log10(10 ** (-0.4 * magnitude) + early * 10 ** (-0.4 * magnitude[peak]))
    hot = float(np.clip(rng.normal(14500.0, 2200.0), 9500.0, 22000.0))
    floor = float(np.clip(rng.normal(7000.0, 900.0), 5000.0, 9500.0))
    slow = float(rng.uniform(0.8, 1.8))
    kelvin = floor + (hot * 1.25 - floor) / (1 + np.exp((since - 0.5 * slow) / (0.5 * slow)))
    blanketing = float(np.exp(rng.normal(0.0, 0.3))) * (
        0.1 + 0.7 / (1 + np.exp(-(since - 1.3 * slow) / (0.4 * slow)))
    )
    oxygen = -rng.uniform(0.0, 0.12) / (1 + np.exp(since * 4))
    return Photosphere(
        anchor_um=0.47,
        magnitude=magnitude,
        kelvin=kelvin,
        blanketing=blanketing,
        edge_um=float(rng.normal(0.47, 0.015)),
        ultraviolet=float(rng.uniform(0.2, 1.2)),
        lines=(Line(0.43, oxygen),),
        warp=Warp.draw(rng, 0.08),
    )
