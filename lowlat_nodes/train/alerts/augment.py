# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves seen otherwise: cut, thinned, fainter, in fewer passbands, with worse errors.

What is classified later comes from other telescopes, other pipelines and other moments than the simulated
sky does. So each light curve is seen anew each time, in ways that leave its class as it is: nothing here
depends on the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import WAVELENGTHS_UM
from lowlat_nodes.train.alerts.selection import epochs, owners


@dataclass(frozen=True)
class AugmentConfig:
    """How often each thing happens, and how much.

    Attributes:
        cut: Share of alerts that end at one of their earlier detections.
        short_history: Share whose history is as short as that of ZTF's alerts, 30 days.
        fewer_bands: Share of which passbands are left out.
        thin: Share of which single epochs are left out.
        no_limits: Share without non-detections.
        noisier: Share to which noise is added.
        miscalibrated: Share whose passbands are out of proportion.
        other_filters: Share of which half of the epochs are told of in similar passbands of other systems.
        floored: Share whose errors have a floor of up to 5 % of the flux.
        depth_mag: Standard deviation of the change of distance.
        band_scatter: Standard deviation of a passband's scale.
        error_scatter: Standard deviation of the logarithm of the errors' scale.
    """

    cut: float = 0.3
    short_history: float = 0.15
    fewer_bands: float = 0.25
    thin: float = 0.35
    no_limits: float = 0.4
    noisier: float = 0.3
    miscalibrated: float = 0.5
    other_filters: float = 0.3
    floored: float = 0.4
    depth_mag: float = 1.0
    band_scatter: float = 0.05
    error_scatter: float = 0.2


_SIMILAR_UM = 0.03
_SIMILAR = [
    np.flatnonzero(np.abs(WAVELENGTHS_UM - wavelength) <= _SIMILAR_UM).astype(np.uint8)
    for wavelength in WAVELENGTHS_UM
]
_SIMILAR_TO = np.stack([np.resize(codes, len(WAVELENGTHS_UM)) for codes in _SIMILAR])
_DETECTION = 5.0  # sigma
_HISTORY_DAYS = 30.0


def augment(light_curves: LightCurves, random: np.random.Generator, config: AugmentConfig) -> LightCurves:
    """Other views of light curves, each of an alert with at least one detection if it had one."""
    n = len(light_curves)

    def happens(share: float) -> NDArray[np.bool_]:
        return random.random(n) < share

    curves = _cut(light_curves, random, happens(config.cut))
    alert = owners(curves)
    newest = np.full(n, -np.inf)
    np.maximum.at(newest, alert, curves.mjd)
    kept = ~happens(config.short_history)[alert] | (curves.mjd > newest[alert] - _HISTORY_DAYS)
    kept &= ~happens(config.fewer_bands)[alert] | (random.random((n, 256)) < 0.5)[alert, curves.band]
    share = np.where(happens(config.thin), random.uniform(0.15, 1.0, n), 1.0)
    kept &= random.random(len(alert)) < share[alert]
    kept &= ~happens(config.no_limits)[alert] | curves.detected
    # What an alert is about stays: its newest detection.
    last = np.full(n, -1)
    found = np.flatnonzero(curves.detected)
    last[alert[found]] = found
    kept[last[last >= 0]] = True
    curves = epochs(curves, kept)
    curves.band = _renamed(curves, random, happens(config.other_filters))
    return _reexposed(curves, random, config)


def _cut(curves: LightCurves, random: np.random.Generator, cut: NDArray[np.bool_]) -> LightCurves:
    """End some light curves at one of their detections."""
    alert, n = owners(curves), len(curves)
    number = np.cumsum(curves.detected)
    before = np.append(0, number)[curves.offsets[:-1]]
    total = np.bincount(alert[curves.detected], minlength=n)
    # The early ones more often: there is little to see then, and most alerts are like that.
    last = np.ceil(total * random.random(n) ** 1.5)
    last = np.where(cut & (total > 0), np.maximum(last, 1.0), np.inf)
    rank = number - before[alert]
    return epochs(curves, (rank < last[alert]) | (curves.detected & (rank == last[alert])))


def _renamed(
    curves: LightCurves, random: np.random.Generator, renamed: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Codes of passbands, uint8 [m], half of them others of nearly the same wavelength in some alerts."""
    alert = owners(curves)
    similar = _SIMILAR_TO[
        np.arange(len(WAVELENGTHS_UM)), random.integers(len(WAVELENGTHS_UM), size=(len(curves), 1))
    ]
    other = renamed[alert] & (random.random(len(alert)) < 0.5)
    return np.where(other, similar[alert, curves.band], curves.band)


def _reexposed(curves: LightCurves, random: np.random.Generator, config: AugmentConfig) -> LightCurves:
    """Change distance, calibration, noise and stated errors, and with them what is detected."""
    alert, n = owners(curves), len(curves)
    scale = 10.0 ** (-0.4 * random.normal(0.0, config.depth_mag, n))
    bands = np.exp(
        random.normal(0.0, config.band_scatter, (n, 256)) * (random.random((n, 1)) < config.miscalibrated)
    )
    factor = scale[alert] * bands[alert, curves.band]
    flux, error = curves.flux_njy * factor, curves.error_njy * factor
    detected = curves.detected.copy()
    measured = flux != 0.0  # a limit is no measurement
    more = np.where(random.random(n) < config.noisier, random.exponential(1.0, n), 0.0)[alert]
    flux += np.where(measured, random.standard_normal(len(flux)) * more * error, 0.0)
    error *= np.hypot(1.0, more)
    faint = detected & (more > 0.0) & (np.abs(flux) < _DETECTION * error)
    # The newest detection made the alert.
    last = np.full(n, -1)
    found = np.flatnonzero(detected)
    last[alert[found]] = found
    faint[last[last >= 0]] = False
    detected &= ~faint
    # What was lost is measured still, or a limit, or not told of.
    fate = random.integers(0, 3, n)[alert]
    flux[faint & (fate == 1)] = 0.0
    floor = np.where(random.random(n) < config.floored, random.uniform(0.0, 0.05, n), 0.0)
    error = np.hypot(error, floor[alert] * flux)
    error *= np.exp(random.normal(0.0, config.error_scatter, n))[alert]
    curves = LightCurves(
        curves.alert_id, curves.object_id, curves.offsets, curves.mjd, curves.band, flux, error, detected
    )
    return epochs(curves, ~(faint & (fate == 2)))
