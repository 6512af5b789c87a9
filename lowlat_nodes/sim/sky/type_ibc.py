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
    """Draw a stripped supernova: 96 % Ib, Ic and IIb, 4 % Ibn.

    IIb are here, not in SN II: without a spectrum they look as Ib do.
    """
    heated = _draw_narrow(rng) if rng.random() < 0.04 else _draw_stripped(rng)
    host = Host(*dust.draw_host(rng, mean_ebv=0.26, clear=0.15))
    return explode(rng, LABEL, radioactive(rng, heated), host, faintest_mag, mjd)


def _draw_stripped(rng: np.random.Generator) -> Heated:
    """Draw what nickel heats: 15 % with broad lines, 10 % with an early peak, as IIb and some Ib have it.

    Light curves are by Arnett (1982) in r; their widths follow Drout et al. (2011), Taddia et al. (2015,
    2018) and Lyman et al. (2016), their peaks Richardson et al. (2014), their colours Stritzinger et al.
    (2018).
    """
    kind = rng.random()
    broad = kind < 0.15
    early = kind > 0.90
    width = float(np.clip(np.exp(rng.normal(np.log(13.0), 0.32)), 6.5, 36.0))
    return Heated(
        magnitude=float(rng.normal(-18.9, 0.8) if broad else rng.normal(-17.85, 0.8)),
        anchor_um=0.62,
        diffusion_days=width,
        escape_days=float(np.clip(np.exp(rng.normal(np.log(95.0), 0.35)), 40.0, 250.0)),
        hot_kelvin=float(np.clip(rng.normal(9900.0 if broad else 9300.0, 1500.0), 6200.0, 14000.0)),
        cool_kelvin=float(rng.normal(5100.0, 400.0)),
        cooling_days=float(rng.normal(4.0, 4.5)),
        blanketing=(0.35, 1.0),
        ultraviolet=0.5,
        contrast=float(np.clip(rng.normal(1.2, 0.12), 0.9, 1.6)),
        early_mag=float(rng.normal(0.3, 0.8)) if early else np.inf,
        early_days=float(rng.uniform(1.5, 4.0)),
        warp_mag=0.09,
    )


def _draw_narrow(rng: np.random.Generator) -> Heated:
    """Draw one that runs into helium, type Ibn: bright, blue and fast (Hosseinzadeh et al. 2017)."""
    return Heated(
        magnitude=float(rng.normal(-19.3, 0.6)),
        anchor_um=0.62,
        diffusion_days=float(np.clip(rng.normal(7.5, 1.5), 4.5, 12.0)),
        escape_days=float(rng.normal(28.0, 5.0)),
        hot_kelvin=float(rng.normal(14000.0, 2000.0)),
        cool_kelvin=float(rng.normal(8000.0, 1000.0)),
        cooling_days=float(rng.normal(8.0, 4.0)),
        blanketing=(0.0, 0.4),
        warp_mag=0.09,
    )
