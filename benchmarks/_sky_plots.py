# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A light curve of each class as the simulated surveys see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.benchmarks._svg import save, svg_pyplot
from lowlat_nodes.sim.sky.population import generate

_COLOURS: Final = {"g": "#1b7f3b", "r": "#d1495b", "i": "#8e6bbf"}
_CANDIDATES: Final = 60
_MOST_EPOCHS: Final = 90


def draw(seed: int, folder: Path) -> list[Path]:
    """Write a picture with a panel for each class as SVG into a folder and return its path.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with svg_pyplot() as plt:
        return [save(plt, _classes(plt, seed), folder / "sky_classes.svg")]


def _classes(plt: Any, seed: int) -> Any:
    figure, panels = plt.subplots(4, 3, figsize=(8.4, 8.0), layout="constrained")
    for name, axes in zip(CLASSES, panels.flat, strict=True):
        curves, _, _ = generate(_CANDIDATES, seed, class_weights={name: 1}, survey_shares={"ztf": 1})
        _light_curve(axes, curves, _best(curves))
        axes.set_title(name, fontsize=9)
    figure.supxlabel("days before the alert")
    figure.supylabel("difference to the template, µJy (simulated)")
    handles = [
        plt.Line2D([], [], color=colour, marker="o", ls="", ms=3, label=band)
        for band, colour in _COLOURS.items()
    ]
    handles.append(plt.Line2D([], [], color="#888888", marker="v", ls="", ms=3, label="5σ limit"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    return figure


def _best(curves: LightCurves) -> int:
    """Return the number of the alert that shows most: detections in most nights, within reason."""
    shown = np.zeros(len(curves))
    for index in range(len(curves)):
        epochs = slice(curves.offsets[index], curves.offsets[index + 1])
        if epochs.stop - epochs.start <= _MOST_EPOCHS:
            found = curves.detected[epochs]
            nights = len(np.unique(np.floor(curves.mjd[epochs][found])))
            quality = np.abs(curves.flux_njy[epochs][found] / curves.error_njy[epochs][found])
            shown[index] = nights * np.median(quality)
    return int(shown.argmax())


def _light_curve(axes: Any, curves: LightCurves, index: int) -> None:
    epochs = slice(curves.offsets[index], curves.offsets[index + 1])
    days = curves.mjd[epochs] - curves.mjd[epochs][-1]
    flux, error, found = (
        curves.flux_njy[epochs] / 1e3,
        curves.error_njy[epochs] / 1e3,
        curves.detected[epochs],
    )
    limits = ~found & (flux == 0)
    for code in np.unique(curves.band[epochs]):
        colour = _COLOURS[NAMES[code].rpartition("_")[2]]
        of_band = curves.band[epochs] == code
        measured = of_band & ~limits
        axes.errorbar(
            days[measured], flux[measured], error[measured], fmt="o", ms=2.5, lw=0.7, color=colour, alpha=0.9
        )
        at: NDArray[np.bool_] = of_band & limits
        axes.plot(days[at], 5 * error[at], "v", ms=2.5, color=colour, alpha=0.3, mew=0)
    low, high = min(0.0, flux[found].min()), max(0.0, flux[found].max())
    axes.set_ylim(low - 0.1 * (high - low), high + 0.15 * (high - low))
    axes.axhline(0, color="#cccccc", lw=0.7, zorder=0)
