# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Supernovae that have lost their hydrogen: types Ib and Ic, with broad lines or not, and IIb."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import dust
from lowlat_nodes.sim.sky.explosion import Explosion, Host, explode
from lowlat_nodes.sim.sky.radioactive import Heated, radioactive

LABEL = CLASSES.index("SN Ib/c")


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Explosion:
    """Draw a stripped supernova: 75 % Ib and Ic, 15 % with broad lines, 10 % with an early peak (IIb).

    Light curves are by Arnett (1982) in r; their widths follow Drout et al. (2011), Taddia et al. (2015,
    2018) and Lyman et al. (2016), their peaks Richardson et al. (2014), their colours Stritzinger et al.
    (2018). IIb are here, not in SN II: without a spectrum they look as Ib do.
    """
    kind = rng.random()
    broad = kind < 0.15
    early = kind > 0.90
    width = float(np.clip(np.exp(rng.normal(np.log(14.0), 0.28)), 7.5, 32.0))
    heated = Heated(
        magnitude=float(rng.normal(-18.9, 0.8) if broad else rng.normal(-17.75, 0.85)),
        anchor_um=0.62,
        diffusion_days=width,
        escape_days=float(np.clip(np.exp(rng.normal(np.log(75.0), 0.3)), 35.0, 180.0)),
        hot_kelvin=float(rng.normal(9300.0 if broad else 8800.0, 1000.0)),
        cool_kelvin=float(rng.normal(4900.0, 350.0)),
        cooling_days=float(rng.normal(4.0, 3.0)),
        blanketing=(0.45, 1.15),
        ultraviolet=0.5,
        early_mag=float(rng.normal(0.3, 0.8)) if early else np.inf,
        early_days=float(rng.uniform(1.5, 4.0)),
        warp_mag=0.09,
    )
    host = Host(*dust.draw_host(rng, mean_ebv=0.26, clear=0.15))
    return explode(rng, LABEL, radioactive(rng, heated), host, faintest_mag, mjd)
