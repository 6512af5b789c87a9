# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When surveys look at an object, how deep, and what of that they tell: ZTF, LSST, published catalogues.

Every draw is another survey of that kind: a classifier that is trained on them is not to depend on one
cadence, one depth or one way to state errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.sim.sky.noise import (
    LIMIT_PERCENTILES,
    LSST_NOISE,
    LSST_SKY_NJY,
    ZTF_LIMIT_MAG,
    ZTF_NOISE,
    Noise,
)

History = Literal["limits", "forced", "detections"]
"""What is told of a visit without detection: its limit, what forced photometry measured, nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """How one object is observed.

    Attributes:
        days: float64 [n], times of the visits, rising; the last is 0.
        band: uint8 [n], codes of `alerts.passbands`.
        sky_njy: float64 [n], 1 sigma.
        noise: The errors that are stated.
        understated: True over stated errors.
        faintest_mag: What of the sky is worth simulating: an object's peak is brighter.
        saturation_mag: What shines brighter in total is not measured.
        threshold: Sigmas of the sky that make a detection.
        signal_to_noise: Sigmas of the stated error that make a detection.
        history: What is told of visits without detection.
        forced_days: How long before the first detection forced photometry begins.
        age: Share of the time in which it is detectable that has gone by; above 1: when all is over.
        begins: Share of the time worth observing at which somebody begins to; -inf: always did.
        dense_days: How long after the first detection it is observed as often as the visits are; then less.
        ends_at_detection: Whether the last epoch is a detection.
        positive: Whether what is fainter than the template is left out, unless the object persists.
        offset: Standard deviation of what is wrong with the template of a passband, in sigmas of the sky.
        contamination: What of a galaxy is still in it, relative to the brightest epoch.
        calibration: Standard deviation of the zero point of each passband, relative flux.
        outliers: Share of epochs that are wrong by far.
        flat_error: If above 0, the error that is stated of all epochs, relative to the flux.
        host: Whether the object may lie on a galaxy.
    """

    days: NDArray[np.float64]
    band: NDArray[np.uint8]
    sky_njy: NDArray[np.float64]
    noise: Noise
    understated: float
    faintest_mag: float
    saturation_mag: float
    threshold: float
    signal_to_noise: float
    history: History
    forced_days: float
    age: float
    begins: float
    dense_days: float
    ends_at_detection: bool
    positive: bool
    offset: float
    contamination: float
    calibration: float
    outliers: float
    flat_error: float
    host: bool


def ztf(rng: np.random.Generator) -> Campaign:
    """Draw what an alert of the Zwicky Transient Facility tells of an object.

    The public survey visits a field in g and r every 2 to 3 nights and partnerships more often, some in i
    (Bellm et al. 2019); a packet has the limits and detections of 30 days, version 4 has forced photometry
    of them, brokers merge all packets of an object. Depths are those of `noise.ZTF_LIMIT_MAG`, deeper where
    there is no moon.
    """
    kind = rng.random()
    span = 30.0 if kind < 0.5 else rng.choice([30.0, 100.0]) if kind < 0.65 else _log_uniform(rng, 40, 900)
    history: History = (
        "limits" if kind < 0.5 else "forced" if kind < 0.65 else "limits" if kind < 0.85 else "detections"
    )
    partnership = rng.random() < 0.25
    share = 1 / rng.uniform(0.9, 2) if partnership else 1 / rng.uniform(1.8, 4)
    shares = share * rng.uniform(0.7, 1.3, 3)
    shares[2] *= 0.25 if rng.random() < 0.3 else 0.0
    if rng.random() < 0.06:
        shares[rng.integers(2)] = 0.0
    night, filters, hours = _nightly(
        rng, span, shares, repeats=rng.choice([0.05, 0.3, 1.0], p=[0.7, 0.2, 0.1])
    )
    if rng.random() < 0.08:
        night, filters, hours = _continuous(rng, night, filters, hours)
    moon = np.sin(2 * np.pi * (night / 29.53 + rng.random()))
    quality = 0.8 * moon + 0.7 * rng.standard_normal(int(night.max()) + 1)[night]
    limit = np.empty(len(night))
    percentile = 100 / (1 + np.exp(-1.7 * quality))  # near the normal distribution
    for index, limits in enumerate(ZTF_LIMIT_MAG.values()):
        chosen = filters == index
        limit[chosen] = np.interp(percentile[chosen], LIMIT_PERCENTILES, limits)
    days, order = _backwards(night, hours)
    return Campaign(
        days=days,
        band=np.array([CODES[name] for name in ZTF_LIMIT_MAG], np.uint8)[filters[order]],
        sky_njy=_njy(limit[order]) / 5,
        noise=ZTF_NOISE,
        understated=float(np.exp(rng.normal(0.0, 0.15))),
        faintest_mag=rng.uniform(19.5, 20.5),
        saturation_mag=12.5,
        # A packet states errors of the fit, which are not those that detected it; of forced ones we judge.
        threshold=3.0 if history == "forced" else 5.0,
        signal_to_noise=5.0 if history == "forced" else 3.5,
        history=history,
        forced_days=span,
        age=rng.random() if rng.random() < 0.8 else rng.uniform(0.9, 1.2),
        begins=-np.inf,
        dense_days=np.inf,
        ends_at_detection=True,
        positive=False,
        offset=rng.choice([0.0, 0.7], p=[0.8, 0.2]),
        contamination=0.0,
        calibration=0.02,
        outliers=rng.choice([0.0, 0.003]),
        flat_error=0.0,
        host=True,
    )


def lsst(rng: np.random.Generator) -> Campaign:
    """Draw what an alert of the Legacy Survey of Space and Time tells of an object.

    In the wide survey a field gets some 825 visits in 10 years, in pairs of two filters half an hour apart
    (Ivezic et al. 2019); deep fields get more in a night than others in a month. An alert has the sources of
    12 months and forced photometry of all visits since 30 days before the first (DMTN-102).
    """
    deep = rng.random() < 0.15
    span = rng.choice([30.0, 120.0, 365.0], p=[0.25, 0.3, 0.45])
    # Visits a night that can be seen: 82 a year in seasons of some 200 nights, twice that where it rolls.
    rate = rng.uniform(1.0, 4.0) if deep else rng.uniform(0.25, 1.2)
    shares = np.minimum(rate * np.array([0.07, 0.1, 0.22, 0.22, 0.2, 0.19]) * rng.uniform(0.6, 1.4, 6), 0.7)
    night, filters, hours = _nightly(rng, span, shares, repeats=0.5 if deep else 0.1)
    paired = rng.random(len(night)) < (0.0 if deep else 0.6)
    neighbour = np.clip(filters[paired] + rng.choice([-1, 1], paired.sum()), 0, 5)
    night = np.concatenate((night, night[paired]))
    hours = np.concatenate((hours, hours[paired] + rng.uniform(0.35, 0.7, paired.sum())))
    filters = np.concatenate((filters, neighbour))
    days, order = _backwards(night, hours)
    filters = filters[order]
    depth = np.array(list(LSST_SKY_NJY.values()))[filters]
    told: History = "detections" if rng.random() < 0.25 else "forced"
    return Campaign(
        days=days,
        band=np.array([CODES[name] for name in LSST_SKY_NJY], np.uint8)[filters],
        sky_njy=depth * np.exp(rng.normal(rng.uniform(-0.7, 0.2), 0.3, len(days))),
        noise=LSST_NOISE,
        understated=float(np.exp(rng.normal(0.0, 0.1))),
        faintest_mag=rng.uniform(22.0, 24.3),
        saturation_mag=15.5,
        threshold=3.0,
        signal_to_noise=5.0,
        history=told,
        forced_days=30.0,
        age=rng.random() if rng.random() < 0.8 else rng.uniform(0.9, 1.2),
        begins=-np.inf,
        dense_days=np.inf,
        ends_at_detection=True,
        positive=False,
        offset=rng.choice([0.0, 0.7], p=[0.8, 0.2]),
        contamination=0.0,
        calibration=0.02,
        outliers=rng.choice([0.0, 0.003]),
        flat_error=0.0,
        host=True,
    )


_SYSTEMS: Final = {
    "sdss": ("sdss_u", "sdss_g", "sdss_r", "sdss_i", "sdss_z"),
    "ps1": ("ps1_g", "ps1_r", "ps1_i", "ps1_z", "ps1_y"),
    "bessell": ("bessell_u", "bessell_b", "bessell_v", "bessell_r", "bessell_i"),
    "ztf": ("ztf_g", "ztf_r", "ztf_i"),
    "lsst": ("lsst_g", "lsst_r", "lsst_i", "lsst_z"),
    "gaia": ("gaia_g",),
}
_SYSTEM_SHARES: Final = (0.28, 0.2, 0.22, 0.17, 0.08, 0.05)
_GREEN_AND_RED: Final = {
    "sdss": (1, 2),
    "ps1": (0, 1),
    "bessell": (1, 3),
    "ztf": (0, 1),
    "lsst": (0, 1),
    "gaia": (0,),
}


def catalogue(rng: np.random.Generator) -> Campaign:
    """Draw what a published light curve tells of an object: detections that somebody found worth following.

    Nearby objects in hundreds of epochs with errors of 1 % (CfA, Hicken et al. 2012; CSP, Krisciunas et al.
    2017), distant ones every few days near the limit in griz (SDSS-II, Sako et al. 2018; Pan-STARRS1, Jones
    et al. 2018), or a handful of points of somebody's telescope. Most have no limits, many begin after the
    peak, few agree in what an error is, and some still have light of the galaxy in them.
    """
    system = str(rng.choice(list(_SYSTEMS), p=_SYSTEM_SHARES))
    bands = _bands(rng, system)
    span = _log_uniform(rng, 40, 900)
    gap = _log_uniform(rng, 0.8, 12)
    shares = np.minimum(rng.uniform(0.3, 1.2, len(bands)) / gap, 0.95)
    night, filters, hours = _nightly(
        rng, span, shares, repeats=rng.choice([0.0, 0.2, 1.0], p=[0.6, 0.3, 0.1]), clear=rng.uniform(0.5, 1.0)
    )
    days, order = _backwards(night, hours)
    filters = filters[order]
    limit = rng.uniform(17.5, 24.5)
    bright = rng.uniform(0.0, 5.0) * rng.random()
    per_band = limit + rng.normal(0.0, 0.3, len(bands))
    noise = Noise(
        sky=1.0,
        photons=_log_uniform(rng, 0.001, 0.05),
        difference=_log_uniform(rng, 0.003, 0.06),
        template=_log_uniform(rng, 0.0005, 0.01),
        scatter=rng.uniform(0.05, 0.5),
    )
    forced = rng.random() < 0.2
    return Campaign(
        days=days,
        band=np.array([CODES[name] for name in bands], np.uint8)[filters],
        sky_njy=_njy(per_band[filters] + rng.normal(0.0, rng.uniform(0.1, 0.6), len(days))) / 5,
        noise=noise,
        understated=float(np.exp(rng.normal(0.1, 0.3))),
        faintest_mag=limit - bright,
        saturation_mag=9.0,
        threshold=1.0,
        signal_to_noise=5.0 if forced else rng.choice([1.5, 2.5, 3.0, 5.0], p=[0.1, 0.3, 0.4, 0.2]),
        history="forced" if forced else "detections",
        forced_days=span,
        age=rng.uniform(0.8, 1.3) if rng.random() < 0.65 else rng.random(),
        begins=rng.uniform(0.05, 0.7) if rng.random() < 0.15 else rng.uniform(-0.3, 0.0),
        dense_days=np.inf if rng.random() < 0.4 else _log_uniform(rng, 10, 200),
        ends_at_detection=not forced,
        positive=not forced and rng.random() < 0.8,
        offset=rng.choice([0.0, 1.0], p=[0.7, 0.3]),
        contamination=_log_uniform(rng, 0.01, 0.3) if rng.random() < 0.1 else 0.0,
        calibration=rng.choice([0.01, 0.04, 0.15], p=[0.5, 0.4, 0.1]),
        outliers=rng.choice([0.0, 0.01, 0.03]),
        flat_error=_log_uniform(rng, 0.01, 0.2) if rng.random() < 0.06 else 0.0,
        host=rng.random() < 0.5,
    )


SURVEYS: dict[str, Callable[[np.random.Generator], Campaign]] = {
    "ztf": ztf,
    "lsst": lsst,
    "catalogue": catalogue,
}
"""What draws a campaign, by the kind of survey."""


def _bands(rng: np.random.Generator, system: str) -> Sequence[str]:
    """Return the passbands of a published light curve: often green and red alone, seldom a single one."""
    names = _SYSTEMS[system]
    kind = rng.random()
    if kind < 0.5 or len(names) < 3:
        return [names[index] for index in _GREEN_AND_RED[system]]
    if kind < 0.56:
        return [names[rng.choice(_GREEN_AND_RED[system])]]
    if kind < 0.8:
        return names
    return [names[index] for index in rng.permutation(len(names))[: rng.integers(2, len(names))]]


Visits = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Nights before the last, 0 and up; index of the filter; hours since dusk."""


def _nightly(
    rng: np.random.Generator, span: float, shares: NDArray[np.float64], *, repeats: float, clear: float = 0.75
) -> Visits:
    """Draw visits: each filter in its share of clear nights while the field is up, some of them repeated."""
    nights = int(span) + 1
    seen = np.repeat(rng.random(nights // 3 + 1) < clear, 3)[:nights]
    seen[0] = True
    if nights > 60:
        season = rng.uniform(120, 300)
        seen &= (rng.uniform(0, season) + np.arange(nights)) % 365.25 < season
    filters, night = np.nonzero((rng.random((len(shares), nights)) < shares[:, None]) & seen)
    if not len(night):
        filters, night = np.array([int(shares.argmax())]), np.zeros(1, np.int64)
    count = 1 + (rng.random(len(night)) < repeats) * rng.integers(1, 3, len(night))
    night, filters = np.repeat(night, count), np.repeat(filters, count)
    return night, filters, rng.uniform(0, 8, len(night))


def _continuous(
    rng: np.random.Generator, night: NDArray[np.int64], filters: NDArray[np.int64], hours: NDArray[np.float64]
) -> Visits:
    """Add one night in which a filter watches the field every few minutes."""
    count = int(rng.integers(15, 100))
    chosen = night.min() if rng.random() < 0.7 else rng.choice(night)
    watched = rng.uniform(0, 2) + np.arange(count) * rng.uniform(0.7, 5) / 60
    return (
        np.concatenate((night, np.full(count, chosen))),
        np.concatenate((filters, np.full(count, filters[rng.integers(len(filters))]))),
        np.concatenate((hours, watched)),
    )


def _backwards(
    night: NDArray[np.int64], hours: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the times of visits in days, rising to 0, and their order."""
    days = hours / 24 - night
    order = np.argsort(days)
    return days[order] - days[order[-1]], order


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _njy(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    return 10 ** (0.4 * (AB_ZERO_POINT - magnitude))
