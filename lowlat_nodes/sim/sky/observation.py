# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a survey measures of an object of the simulated sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT
from lowlat_nodes.alerts.passbands import WAVELENGTHS_UM
from lowlat_nodes.sim.sky.sky_object import SkyObject
from lowlat_nodes.sim.sky.surveys import Campaign

_GRID = np.linspace(0, 1, 48)
_TEMPLATE_DAYS = 700.0
_FOLLOWED_DAYS = 30.0
"""What is over sooner is in the record of a star, not followed from its onset."""
_STANDS_OUT = 4.0
"""Sigmas of what such a record lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Epochs:
    """The light curve of one alert, as `alerts.lightcurve.LightCurves` holds many.

    Attributes:
        mjd: float64 [n], days, rising.
        band: uint8 [n], codes of `alerts.passbands`.
        flux_njy: float64 [n], nJy, against the template.
        error_njy: float64 [n], nJy, above 0.
        detected: bool [n].
    """

    mjd: NDArray[np.float64]
    band: NDArray[np.uint8]
    flux_njy: NDArray[np.float64]
    error_njy: NDArray[np.float64]
    detected: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.mjd)

    def only(self, chosen: NDArray[np.bool_] | slice) -> Epochs:
        """Return some of the epochs."""
        return Epochs(
            self.mjd[chosen],
            self.band[chosen],
            self.flux_njy[chosen],
            self.error_njy[chosen],
            self.detected[chosen],
        )


def observe(sky_object: SkyObject, campaign: Campaign, rng: np.random.Generator) -> Epochs | None:
    """Observe an object: place it before the campaign, measure it, and tell what that survey tells.

    Args:
        sky_object: What is observed. Of what persists, a template is subtracted: the mean of epochs at
            other times, so differences have both signs.
        campaign: The visits, their depth, and what is told of them.
        rng: All that is random comes from here.

    Returns:
        The epochs until the last detection, or None if nothing was detected.
    """
    last_mjd = _last_visit(sky_object, campaign, rng)
    if last_mjd is None:
        return None
    mjd = last_mjd + campaign.days
    flux = sky_object.flux_njy(mjd, WAVELENGTHS_UM[campaign.band])
    bands, index = np.unique(campaign.band, return_inverse=True)
    template = _template(sky_object, campaign, bands, last_mjd, rng)[index]
    if sky_object.persistent:
        flux = flux - template

    stated = campaign.noise.error_njy(campaign.sky_njy, flux, template)
    stated *= np.exp(campaign.noise.scatter * rng.standard_normal(len(mjd)))
    measured = _measure(flux, stated, campaign, index, rng)
    lasts = np.inf if sky_object.persistent else sky_object.end_mjd - sky_object.start_mjd
    significant = campaign.signal_to_noise
    if lasts < _FOLLOWED_DAYS:
        significant = max(significant, _STANDS_OUT)
    detected = np.abs(measured) > np.maximum(campaign.threshold * campaign.sky_njy, significant * stated)
    measurable = flux + template < _njy(campaign.saturation_mag)
    if not sky_object.persistent:
        if lasts >= _FOLLOWED_DAYS:
            measurable &= mjd >= sky_object.start_mjd + campaign.begins * lasts
        if campaign.positive:
            measurable &= measured > 0
    if not (detected & measurable & (np.abs(flux) > 0.5 * np.abs(measured))).any():
        return None  # nothing but noise
    if campaign.flat_error:
        stated = np.maximum(campaign.flat_error * np.abs(measured), 0.01 * stated)
    return _tell(Epochs(mjd, campaign.band, measured, stated, detected), measurable, campaign, rng)


def _last_visit(sky_object: SkyObject, campaign: Campaign, rng: np.random.Generator) -> float | None:
    """Return when the last visit is, so that what happens once can have been detected by then."""
    if sky_object.persistent:
        return float(sky_object.peak_mjd + rng.uniform(-300, 300))
    start, end = sky_object.start_mjd, sky_object.end_mjd
    grid = start + (end - start) * _GRID
    band = campaign.band[rng.integers(len(campaign.band))]
    flux = sky_object.flux_njy(grid, np.full(len(grid), WAVELENGTHS_UM[band]))
    sky = np.median(campaign.sky_njy[campaign.band == band])
    seen = np.flatnonzero(flux > 4 * sky)
    if not len(seen):
        return None
    share = campaign.age * len(seen)
    if share < len(seen):
        last = grid[seen[int(share)]] + (end - start) / len(grid) * rng.uniform(-0.5, 0.5)
    else:
        # When all is over; what was over in a moment long ago is in nobody's history.
        last = grid[seen[-1]] + min((campaign.age - 1) * (end - start), -0.5 * campaign.days[0])
    if np.isfinite(campaign.begins):
        # Whoever watches from the beginning does so for as long as the campaign lasts, then gives up.
        first = max(grid[seen[0]], start + campaign.begins * (end - start))
        last = min(last, first - campaign.days[0])
    return float(last)


def _template(
    sky_object: SkyObject,
    campaign: Campaign,
    bands: NDArray[np.uint8],
    last_mjd: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the flux in the template, for each passband: of what persists, or of the galaxy around it."""
    if not sky_object.persistent:
        if not campaign.host or rng.random() < 0.4:
            return np.zeros(len(bands))
        red = rng.uniform(0.0, 3.0)
        galaxy = _njy(campaign.faintest_mag - rng.uniform(-2, 4))
        return np.asarray(galaxy * (WAVELENGTHS_UM[bands] / 0.62) ** red)
    images = int(rng.integers(4, 30))
    mjd = last_mjd - rng.uniform(0, _TEMPLATE_DAYS, (len(bands), images))
    flux = sky_object.flux_njy(mjd.ravel(), np.repeat(WAVELENGTHS_UM[bands], images))
    return np.asarray(flux.reshape(mjd.shape).mean(axis=1))


def _measure(
    flux: NDArray[np.float64],
    stated: NDArray[np.float64],
    campaign: Campaign,
    index: NDArray[np.intp],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the flux with noise, wrong zero points, wrong templates and outliers."""
    noise = campaign.understated * rng.standard_normal(len(flux))
    if campaign.outliers:
        noise += (rng.random(len(flux)) < campaign.outliers) * 8.0 * rng.standard_normal(len(flux))
    per_band = rng.standard_normal((3, int(index.max()) + 1))
    zero_point = 1 + np.clip(campaign.calibration * per_band[0], -0.5, 0.5)[index]
    offset = campaign.offset * np.median(campaign.sky_njy) * per_band[1][index]
    if campaign.contamination:
        offset = offset + campaign.contamination * flux.max() * np.abs(per_band[2])[index]
    return np.asarray(flux * zero_point + offset + stated * noise)


def _tell(
    epochs: Epochs, measurable: NDArray[np.bool_], campaign: Campaign, rng: np.random.Generator
) -> Epochs:
    """Return what the survey tells of its measurements."""
    detections = np.flatnonzero(epochs.detected & measurable)
    last = detections[-1] + 1 if campaign.ends_at_detection else len(epochs)
    first = np.searchsorted(epochs.mjd, epochs.mjd[detections[0]] - campaign.forced_days)
    told = measurable if campaign.history != "detections" else measurable & epochs.detected
    # No two epochs have the same time.
    told[1:] &= np.diff(epochs.mjd) > 0
    if np.isfinite(campaign.dense_days):
        since = np.maximum(epochs.mjd - epochs.mjd[detections[0]], 0.0)
        told &= rng.random(len(since)) < 1 / (1 + (since / campaign.dense_days) ** 2)
        told[detections[0]] = True
    kept = np.flatnonzero(told)
    kept = kept[(kept >= first) & (kept < last)]
    flux, error, detected = epochs.flux_njy[kept], epochs.error_njy[kept], epochs.detected[kept]
    if campaign.history == "limits":
        flux = np.where(detected, flux, 0.0)
        error = np.where(detected, error, campaign.sky_njy[kept])
    return Epochs(epochs.mjd[kept], epochs.band[kept], flux, error, detected)


def _njy(magnitude: float) -> float:
    return float(10 ** (0.4 * (AB_ZERO_POINT - magnitude)))
