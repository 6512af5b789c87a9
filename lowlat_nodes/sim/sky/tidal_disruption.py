# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Stars that a black hole tears apart in the middle of a galaxy."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import dust
from lowlat_nodes.sim.sky.explosion import Explosion, Host, explode
from lowlat_nodes.sim.sky.photosphere import PHASES_DAYS, Photosphere
from lowlat_nodes.sim.sky.warp import Warp

LABEL = CLASSES.index("TDE")


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Explosion:
    """Draw a tidal disruption: hot all along, so blue at all times, a smooth rise and a slow decline.

    Temperatures of 12,000 to 40,000 K that hardly change, rises and declines (exponential, or a power law of
    time) follow van Velzen et al. (2021) and Hammerstein et al. (2023); a sixth brightens again (Yao et al.
    2023).
    """
    t = PHASES_DAYS
    rise_days = float(np.clip(np.exp(rng.normal(np.log(14.0), 0.45)), 4.0, 45.0))
    peak_days = rise_days * float(rng.uniform(2.2, 3.0))
    since = t - peak_days
    after = 0.2 * rise_days * np.logaddexp(0.0, since / (0.2 * rise_days))
    if rng.random() < 0.5:
        fade_days = float(np.clip(np.exp(rng.normal(np.log(55.0), 0.5)), 15.0, 220.0))
        falling = np.exp(-after / fade_days)
    else:
        start_days = float(np.clip(np.exp(rng.normal(np.log(55.0), 0.5)), 12.0, 200.0))
        falling = (1 + after / start_days) ** -rng.uniform(1.0, 2.6)
    falling = falling + rng.uniform(0.0, 0.04) * (since > 0)
    rising = np.exp(-0.5 * (np.minimum(since, 0.0) / rise_days) ** 2)
    rising *= 1 - np.exp(-((t / (0.25 * peak_days)) ** 2))
    light = np.maximum(rising * falling, 1e-9)
    if rng.random() < 0.16:
        away = (since - rng.uniform(30.0, 200.0)) / rng.uniform(12.0, 40.0)
        light = light + rng.uniform(0.1, 0.7) * np.exp(-0.5 * away**2)
    kelvin = float(np.clip(np.exp(rng.normal(np.log(20000.0), 0.3)), 11000.0, 42000.0))
    drift = float(np.exp(rng.normal(0.1, 0.2)))
    source = Photosphere(
        anchor_um=0.48,
        magnitude=float(rng.normal(-19.6, 0.9)) - 2.5 * np.log10(light),
        kelvin=kelvin * drift ** np.clip(since / 100.0, -0.3, 2.0),
        blanketing=np.zeros(len(t)),
        edge_um=0.47,
        ultraviolet=0.0,
        lines=(),
        warp=Warp.draw(rng, 0.05),
    )
    host = Host(*dust.draw_host(rng, mean_ebv=0.08, clear=0.3))
    return explode(rng, LABEL, source, host, faintest_mag, mjd)
