# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of classified light curves: the measurements by passband, and beside them the probabilities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import TREE
from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT, LightCurves
from lowlat_nodes.alerts.passbands import NAMES, WAVELENGTHS_UM
from lowlat_nodes.alerts.result import ABSTAINED
from lowlat_nodes.cli.drawing import FAINT, INK, RULE, figure_of
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_DPI = 120
_FORMATS = (".png", ".svg", ".pdf")
_ON_A_PAGE = 12
_MOST_PICTURES = 500

_MAGNITUDE, _FLUX = "AB magnitude", "flux, µJy"
_CHOSEN = "#2f6fb7"
_LIMIT_SIGMA = 5.0
_CARD_IN = (7.0, 2.6)
_WIDTHS = (3.6, 1.0)

# Colour and marker by the letter of a passband, so that either is enough to tell them apart.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "u": ("#6a4fb3", "^"),
    "b": ("#2f6fb7", "<"),
    "g": ("#1d9a6c", "o"),
    "v": ("#7d9a1f", ">"),
    "r": ("#d9483b", "s"),
    "i": ("#e3942b", "D"),
    "z": ("#8c5a3c", "v"),
    "y": ("#4a5058", "P"),
}


class LightCurvePlots:
    """Pictures of classified light curves, all in one file or each in a file of its own.

    Light curves are in magnitudes, unless something fainter than its template was detected: then in flux. A
    small arrow is the limit of what was not detected, 5 sigma.

    Args:
        path: A file, whose ending tells the format, and which takes the first 12 light curves, two in a row;
            or a folder, made if it is not there, which takes the first 500, named like their objects.

    Raises:
        ConfigurationError: If the path cannot be written to, or the format is none.
        MissingExtra: If Matplotlib is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = not path.suffix
        self._most = _MOST_PICTURES if self._folder else _ON_A_PAGE
        self._waiting: list[_Classified] = []
        self._drawn = 0
        if not self._folder and path.suffix not in _FORMATS:
            raise ConfigurationError(f"{path}: expected a folder or a file with {', '.join(_FORMATS)}")
        try:
            (path if self._folder else path.parent).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot write to {path}: {error.strerror or error}") from error
        with figure_of(1.0, 1.0):  # tells that Matplotlib is missing before the work
            pass

    def add(self, curves: LightCurves, results: Sequence[Record]) -> None:
        """Take light curves and their results, as many as there is room for."""
        for index, record in enumerate(results[: self._most - self._drawn]):
            self._drawn += 1
            classified = _Classified(curves.take(np.array([index])), record.fields)
            if self._folder:
                name = re.sub(r"[^\w.+-]", "_", f"{record.fields['object_id']}-{record.fields['alert_id']}")
                _draw([classified], self._path / f"{name[:100]}.png")
            else:
                self._waiting.append(classified)

    def close(self) -> None:
        """Draw the picture of all, if there are any."""
        if self._waiting:
            _draw(self._waiting, self._path)


@dataclass(frozen=True)
class _Classified:
    """One light curve, and the fields of its result."""

    curve: LightCurves
    result: Mapping[str, Any]


def _draw(alerts: Sequence[_Classified], path: Path) -> None:
    columns = min(2, len(alerts))
    rows = -(-len(alerts) // columns)
    with figure_of(
        _CARD_IN[0] * columns, _CARD_IN[1] * rows, rows=rows, columns=2 * columns, widths=_WIDTHS * columns
    ) as (figure, axes):
        for place, alert in enumerate(alerts):
            _draw_curve(axes[2 * place], alert)
            _draw_classes(axes[2 * place + 1], alert.result)
        for axis in axes[2 * len(alerts) :]:
            axis.set_axis_off()
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08, wspace=0.04)
        figure.savefig(path, dpi=_DPI, facecolor="white")


def _draw_curve(axis: Axes, alert: _Classified) -> None:
    curve = alert.curve
    bands = sorted(set(curve.band.tolist()), key=lambda code: WAVELENGTHS_UM[code])
    one_survey = len({NAMES[code].partition("_")[0] for code in bands}) == 1
    first = curve.mjd[curve.detected] if curve.detected.any() else curve.mjd
    start = float(np.floor(first.min())) if len(first) else 0.0
    values, errors, limits, unit = _brightness(curve)
    days = curve.mjd - start
    for code in bands:
        colour, marker = _LOOKS[NAMES[code][-1]]
        look: dict[str, Any] = {
            "linestyle": "",
            "marker": marker,
            "color": colour,
            "markeredgecolor": "white",
        }
        seen = (curve.band == code) & curve.detected
        measured = (curve.band == code) & ~curve.detected & np.isfinite(values)
        axis.errorbar(
            days[measured], values[measured], errors[measured], **look, markersize=3.6, markeredgewidth=0.5,
            elinewidth=0.8, alpha=0.35,
        )  # fmt: skip
        missed = (curve.band == code) & np.isfinite(limits)
        axis.plot(
            days[missed], limits[missed], linestyle="", marker=r"$\downarrow$", markersize=6.5,
            markeredgewidth=0, color=colour, alpha=0.45,
        )  # fmt: skip
        label = NAMES[code][-1] if one_survey else NAMES[code].replace("_", " ")
        axis.errorbar(
            days[seen], values[seen], errors[seen], **look, markersize=4.6, markeredgewidth=0.6,
            elinewidth=1.1, label=label if seen.any() else "",
        )  # fmt: skip
    axis.set_xlabel(f"days since MJD {start:.0f}")
    axis.set_ylabel(unit)
    axis.margins(x=0.04)
    seen = curve.detected
    spread = np.concatenate([values[seen] - errors[seen], values[seen] + errors[seen]])
    _limit_y(axis, spread, limits[np.isfinite(limits)], faint_is_high=unit == _MAGNITUDE)
    axis.set_title(alert.result["object_id"], fontweight="bold")
    if curve.detected.any():
        legend = axis.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=8, fontsize=8, labelcolor=FAINT,
            handlelength=1.0, handletextpad=0.2, columnspacing=0.8, borderpad=0, borderaxespad=0.4,
        )  # fmt: skip
        legend.set_in_layout(False)  # the title has the room already


def _brightness(curve: LightCurves) -> tuple[Floats, Floats, Floats, str]:
    """Return brightness and error of each epoch, or its limit, NaN where it has none; and the unit."""
    flux, error, detected = curve.flux_njy, curve.error_njy, curve.detected
    if (flux[detected] <= 0.0).any():
        measured = detected | (flux != 0.0)
        limits = np.where(measured, np.nan, _LIMIT_SIGMA * error)
        return np.where(measured, flux, np.nan) * 1e-3, error * 1e-3, limits * 1e-3, _FLUX
    positive = np.where(detected, flux, 1.0)
    values = np.where(detected, AB_ZERO_POINT - 2.5 * np.log10(positive), np.nan)
    limits = np.where(detected, np.nan, AB_ZERO_POINT - 2.5 * np.log10(_LIMIT_SIGMA * error))
    return values, 2.5 / np.log(10.0) * error / positive, limits, _MAGNITUDE


def _limit_y(axis: Axes, values: Floats, limits: Floats, *, faint_is_high: bool) -> None:
    """Show all detections; a limit that is brighter than all of them says nothing and may lie outside."""
    if not faint_is_high:
        axis.axhline(0.0, color=FAINT, linewidth=0.8)
    if len(values):
        low, high = float(values.min()), float(values.max())
        if faint_is_high:
            high = max(high, limits.max(initial=high))
        margin = 0.08 * (high - low)
        axis.set_ylim(low - margin, high + margin)
    if faint_is_high:
        axis.invert_yaxis()


def _draw_classes(axis: Axes, result: Mapping[str, Any]) -> None:
    """Draw a bar for each class, the kinds of the tree apart from each other."""
    place = 0.0
    for kinds in TREE.values():
        for leaves in kinds.values():
            for name in leaves:
                _draw_class(axis, place, name, result["p"][name], chosen=name == result["best"])
                place += 1.0
        place += 0.6
    best = result["best"]
    axis.set_title(
        best if best == ABSTAINED else f"{best}, {100 * result['p'][best]:.0f} %", fontweight="bold"
    )
    axis.set_ylim(place - 0.9, -0.7)
    axis.set_xlim(0.0, 1.0)
    axis.set_axis_off()


def _draw_class(axis: Axes, place: float, name: str, probability: float | None, *, chosen: bool) -> None:
    share = probability or 0.0
    axis.barh(place, 1.0, 0.62, color=RULE, alpha=0.45, linewidth=0)
    axis.barh(place, share, 0.62, color=_CHOSEN if chosen else FAINT, linewidth=0)
    weight = "bold" if chosen else "normal"
    ink = INK if share >= 0.01 else FAINT
    axis.text(-0.06, place, name, ha="right", va="center", fontsize=7.5, color=ink, fontweight=weight)
    text = "?" if probability is None else f"{100 * share:.0f} %" if share >= 0.01 else ""
    axis.text(1.05, place, text, ha="left", va="center", fontsize=7.5, color=ink, fontweight=weight)
