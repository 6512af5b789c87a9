# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled light curves of a simulated sky: what the classifiers are trained on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.sim.sky import (
    active_galaxy,
    cataclysmic,
    eclipsing_binary,
    long_period,
    microlensing,
    rr_lyrae,
    stellar_flare,
    superluminous,
    tidal_disruption,
    type_ia,
    type_ibc,
    type_ii,
)
from lowlat_nodes.sim.sky.observation import Epochs, observe
from lowlat_nodes.sim.sky.sky_object import Draw
from lowlat_nodes.sim.sky.surveys import SURVEYS, Campaign

DRAWS: Mapping[str, Draw] = {
    "SN Ia": type_ia.draw,
    "SN II": type_ii.draw,
    "SN Ib/c": type_ibc.draw,
    "SLSN": superluminous.draw,
    "TDE": tidal_disruption.draw,
    "CV": cataclysmic.draw,
    "flare": stellar_flare.draw,
    "microlensing": microlensing.draw,
    "AGN": active_galaxy.draw,
    "RR Lyrae": rr_lyrae.draw,
    "eclipsing binary": eclipsing_binary.draw,
    "long-period variable": long_period.draw,
}
"""How each class draws its objects, in the order of `alerts.classes.CLASSES`."""

NEEDS: Mapping[str, str] = {"SN Ia": "sncosmo"}
"""Class: the module with the templates that it is drawn from, which the extra `sky` brings."""

SURVEY_SHARES: Mapping[str, float] = {"ztf": 0.4, "lsst": 0.25, "catalogue": 0.35}
"""Share of each kind of survey, the same for all classes."""

_MJD = (58300.0, 62000.0)
_ATTEMPTS = 300
_PIECE = 2000


Population = tuple[LightCurves, NDArray[np.int64], NDArray[np.int64]]
"""Light curves, the index in `alerts.classes.CLASSES` of each, the index in `surveys.SURVEYS` of each."""


def missing_classes() -> list[str]:
    """Return the classes that cannot be drawn here, as what they need is not installed."""
    return [name for name, module in NEEDS.items() if importlib.util.find_spec(module) is None]


def generate(
    count: int,
    seed: int,
    *,
    first: int = 0,
    class_weights: Mapping[str, float] | None = None,
    survey_shares: Mapping[str, float] = SURVEY_SHARES,
    processes: int = 1,
) -> Population:
    """Simulate alerts, each of another object, each with at least one detection.

    Object i of a seed is always the same, however many are asked for and by how many processes.

    Args:
        count: How many.
        seed: Of all that is random.
        first: Number of the first object: what is generated in pieces is the same as in one.
        class_weights: Relative frequency by name of class; without, all are equally frequent.
        survey_shares: Relative frequency by kind of survey, of `surveys.SURVEYS`.
        processes: How many work.

    Returns:
        The light curves, whose alert ids are the objects' numbers; int64 [count], classes; int64 [count],
        kinds of survey.

    Raises:
        KeyError: If a class or a kind of survey has no such name.
        MissingExtra: If what a class needs is not installed.
    """
    weights = dict.fromkeys(DRAWS, 1.0) if class_weights is None else class_weights
    classes = _cumulative(weights, tuple(DRAWS))
    surveys = _cumulative(survey_shares, tuple(SURVEYS))
    work = partial(_simulate, seed=seed, classes=classes, surveys=surveys)
    numbers = range(first, first + count)
    pieces = [numbers[start : start + _PIECE] for start in range(0, count, _PIECE)]
    if processes == 1 or len(pieces) < 2:
        return _join([work(piece) for piece in pieces])
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return _join(list(pool.map(work, pieces)))


def _cumulative(weights: Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    unknown = [name for name in weights if name not in names]
    if unknown:
        raise KeyError(f"{unknown[0]!r} is none of {', '.join(names)}")
    cumulative = np.cumsum([weights.get(name, 0.0) for name in names])
    return np.asarray(cumulative / cumulative[-1])


def _simulate(
    numbers: range, seed: int, classes: NDArray[np.float64], surveys: NDArray[np.float64]
) -> Population:
    """Simulate the objects of some numbers, each with a generator of its own."""
    names, campaigns = tuple(DRAWS), tuple(SURVEYS.values())
    found: list[Epochs] = []
    labels, codes = [], []
    for number in numbers:
        rng = np.random.default_rng((seed, number))
        # The class is drawn first, so that what cannot be seen is drawn again in the same class.
        name = names[int(np.searchsorted(classes, rng.random(), side="right"))]
        code = int(np.searchsorted(surveys, rng.random(), side="right"))
        found.append(_seen(DRAWS[name], campaigns[code], rng))
        labels.append(CLASSES.index(name))
        codes.append(code)
    offsets = np.cumsum([0, *(len(epochs) for epochs in found)])
    light_curves = LightCurves(
        alert_id=np.array(numbers, np.int64),
        object_id=[f"sim{seed}-{number}" for number in numbers],
        offsets=offsets.astype(np.int64),
        mjd=np.concatenate([epochs.mjd for epochs in found]),
        band=np.concatenate([epochs.band for epochs in found]),
        flux_njy=np.concatenate([epochs.flux_njy for epochs in found]),
        error_njy=np.concatenate([epochs.error_njy for epochs in found]),
        detected=np.concatenate([epochs.detected for epochs in found]),
    )
    return light_curves, np.array(labels, np.int64), np.array(codes, np.int64)


def _seen(
    draw: Draw, campaign: Callable[[np.random.Generator], Campaign], rng: np.random.Generator
) -> Epochs:
    """Draw surveys and objects until something is detected."""
    for _ in range(_ATTEMPTS):
        visits = campaign(rng)
        epochs = observe(draw(rng, visits.faintest_mag, rng.uniform(*_MJD)), visits, rng)
        if epochs is not None:
            return epochs
    raise RuntimeError(f"nothing was detected of {_ATTEMPTS} objects: the class and the survey do not fit")


def _join(parts: Sequence[Population]) -> Population:
    return (
        LightCurves.concatenate([curves for curves, _, _ in parts]),
        np.concatenate([np.empty(0, np.int64), *(labels for _, labels, _ in parts)]),
        np.concatenate([np.empty(0, np.int64), *(codes for _, _, codes in parts)]),
    )
