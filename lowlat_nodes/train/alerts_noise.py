# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Fits the noise of the simulated surveys to the errors that real alerts state.

Run it as a module with a folder that holds ztf/ and lsst/ with alert packets; it prints what
`sim.sky.noise` keeps as constants.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.sim.sky.noise import Noise
from lowlat_nodes.stream.errors import MissingExtra

_NEAR_ARCSEC = 1.5
_MAGNITUDE_ERROR = 2.5 / np.log(10)  # error of a magnitude times flux over error of the flux
_ZTF_BANDS = {1: CODES["ztf_g"], 2: CODES["ztf_r"], 3: CODES["ztf_i"]}


def read_ztf(folder: Path) -> NDArray[np.float64]:
    """Return the detections of all ZTF packets in a folder and below, each once.

    Returns:
        float64 [n, 5]: code of the passband, 1 sigma of the sky by `diffmaglim`, difference, flux of the
        nearest source in the template (0 if none lies within 1.5 arcsec), stated error; fluxes in nJy.

    Raises:
        MissingExtra: If fastavro is not installed.
    """
    found = {}
    for alert in _records(folder):
        for epoch in [*(alert["prv_candidates"] or []), alert["candidate"]]:
            if epoch["magpsf"] is None or not epoch.get("diffmaglim"):
                continue
            flux = _njy(epoch["magpsf"])
            near = epoch["magnr"] is not None and epoch["magnr"] > 0 and 0 <= epoch["distnr"] < _NEAR_ARCSEC
            found[alert["objectId"], epoch["jd"], epoch["fid"]] = (
                _ZTF_BANDS[epoch["fid"]],
                _njy(epoch["diffmaglim"]) / 5,
                flux,
                _njy(epoch["magnr"]) if near else 0.0,
                flux * epoch["sigmapsf"] / _MAGNITUDE_ERROR,
            )
    return np.array(list(found.values()))


def read_lsst(folder: Path) -> NDArray[np.float64]:
    """Return the sources of all LSST packets in container files of a folder, as `read_ztf` does.

    LSST states no limit: the sky is NaN.
    """
    found = {}
    for alert in _records(folder):
        for source in [*(alert["prvDiaSources"] or []), alert["diaSource"]]:
            if source["psfFlux"] is None or not source["psfFluxErr"]:
                continue
            found[source["diaSourceId"]] = (
                CODES[f"lsst_{source['band']}"],
                np.nan,
                abs(source["psfFlux"]),
                max(source["templateFlux"] or 0.0, 0.0),
                source["psfFluxErr"],
            )
    return np.array(list(found.values()))


def fit(epochs: NDArray[np.float64]) -> tuple[Noise, dict[int, float]]:
    """Fit the noise model to stated errors, by least squares of their logarithms with a soft loss.

    Args:
        epochs: As `read_ztf` returns them. Where the sky is NaN, one for each passband is fitted as well.

    Returns:
        The model, and the sky of each passband in nJy: as fitted, or the median of what was stated.

    Raises:
        MissingExtra: If SciPy is not installed.
    """
    try:
        from scipy.optimize import least_squares
    except ImportError as error:
        raise MissingExtra("scipy", extra="tracking") from error

    band, sky, difference, template, stated = epochs.T
    codes, index = np.unique(band.astype(int), return_inverse=True)
    fitted = bool(np.isnan(sky).all())

    def model(log: NDArray[np.float64]) -> NDArray[np.float64]:
        noise = Noise(*np.exp(log[:4]), scatter=0)
        return noise.error_njy(np.exp(log[4:])[index] if fitted else sky, difference, template)

    # The size of the sky and its unknown level cannot both be told.
    start = np.log([1, 0.02, 0.02, 0.005])
    levels = np.log([np.percentile(stated[index == each], 10) for each in range(len(codes))])

    def residuals(log: NDArray[np.float64]) -> NDArray[np.float64]:
        tie = [10 * log[0]] if fitted else []
        return np.concatenate((np.log(stated / model(log)), tie))

    found = least_squares(residuals, np.concatenate((start, levels)) if fitted else start, loss="soft_l1").x
    scatter = np.diff(np.percentile(np.log(stated / model(found)), [16, 84]))[0] / 2
    size, photons, of_difference, of_template = np.exp(found[:4])
    medians = np.exp(found[4:]) if fitted else [np.median(sky[index == each]) for each in range(len(codes))]
    levels_by_band = {int(code): float(level) for code, level in zip(codes, medians, strict=True)}
    noise = Noise(float(size), float(photons), float(of_difference), float(of_template), float(scatter))
    return noise, levels_by_band


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    try:
        import fastavro
    except ImportError as error:
        raise MissingExtra("fastavro", extra="alerts") from error
    for path in sorted(folder.rglob("*.avro")):
        with path.open("rb") as file:
            if file.read(4) == b"Obj\x01":
                file.seek(0)
                yield from fastavro.reader(file)


def _njy(magnitude: float) -> float:
    return float(10 ** (0.4 * (AB_ZERO_POINT - magnitude)))


def main() -> None:
    """Print the fits for the folder that the command line names."""
    folder = Path(sys.argv[1])
    for name, epochs in (("ztf", read_ztf(folder / "ztf")), ("lsst", read_lsst(folder / "lsst"))):
        noise, sky = fit(epochs)
        print(f"{name}: {len(epochs)} epochs: {noise}\n  sky_njy: {sky}")


if __name__ == "__main__":
    main()
