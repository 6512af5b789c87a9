# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated light curves that are seen whole, as challenges like PLAsTiCC and ELAsTiCC have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.sim.sky.observation import Epochs, observe
from lowlat_nodes.sim.sky.population import DRAWS, SURVEY_SHARES
from lowlat_nodes.sim.sky.sky_object import Draw
from lowlat_nodes.sim.sky.surveys import SURVEYS, Campaign
from lowlat_nodes.train.alerts.sky import Labelled

LEAST_DAYS, LEAST_DETECTIONS = 150.0, 2
_MJD = (58300.0, 62000.0)


def whole_light_curves(count: int, seed: int) -> Labelled:
    """Simulate light curves of objects of which at least 150 days are known, until all is over.

    Otherwise they are those that the classifier was trained on: the same objects, surveys, depths, errors and
    gaps, each class as often as the others. As in PLAsTiCC, an object was detected at least twice.
    """
    found: list[Epochs] = []
    kinds = np.empty(count, np.int64)
    shares = np.cumsum(list(SURVEY_SHARES.values()))
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        draw = list(DRAWS.values())[number % len(DRAWS)]
        kind = list(SURVEY_SHARES)[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]
        kinds[number] = list(SURVEYS).index(kind)
        found.append(_seen(draw, kind, rng))
    curves = LightCurves(
        np.arange(count),
        [str(number) for number in range(count)],
        np.cumsum([0, *(len(epochs) for epochs in found)]),
        *(
            np.concatenate([getattr(epochs, name) for epochs in found])
            for name in ("mjd", "band", "flux_njy", "error_njy", "detected")
        ),
    )
    return Labelled(curves, np.arange(count) % len(DRAWS), kinds)


def _seen(draw: Draw, kind: str, rng: np.random.Generator) -> Epochs:
    while True:
        campaign: Campaign = SURVEYS[kind](rng)
        if -campaign.days[0] < LEAST_DAYS:
            continue
        campaign = replace(campaign, age=rng.uniform(1.0, 1.2))
        epochs = observe(draw(rng, campaign.faintest_mag, rng.uniform(*_MJD)), campaign, rng)
        if epochs is not None and epochs.detected.sum() >= LEAST_DETECTIONS:
            return epochs
