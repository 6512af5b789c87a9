# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of classified light curves: the measurements by passband, and beside them the probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES, TREE
from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT, LightCurves
from lowlat_nodes.alerts.passbands import NAMES, WAVELENGTHS_UM
from lowlat_nodes.alerts.result import ABSTAINED
from lowlat_nodes.cli.drawing import FAINT, INK, RULE, figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 150

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


@dataclass(frozen=True)
class Classified:
    """Light curves and what was found of them.

    Attributes:
        curves: Of n alerts.
        results: The fields of the result of each, see docs/alert_results.md.
    """

    curves: LightCurves
    results: Sequence[Mapping[str, Any]]


def draw(classified: Classified, alerts: Sequence[int], path: Path) -> None:
    """Draw a picture of some alerts, two in a row.

    Light curves are in magnitudes, unless something fainter than its template was detected: then in flux. A
    small arrow is the limit of what was not detected, 5 sigma.

    Args:
        classified: All alerts.
        alerts: The numbers of those to draw.
        path: The file; its ending tells the format, such as .png, .svg or .pdf.

    Raises:
        MissingExtra: If Matplotlib is not installed.
        OSError: If the file cannot be written.
        ValueError: If there is no such format.
    """
    columns = min(2, len(alerts))
    rows = -(-len(alerts) // columns)
    with figure_of(
        _CARD_IN[0] * columns, _CARD_IN[1] * rows, rows=rows, columns=2 * columns, widths=_WIDTHS * columns
    ) as (figure, axes):
        for place, alert in enumerate(alerts):
            _draw_curve(axes[2 * place], classified, alert)
            _draw_classes(axes[2 * place + 1], classified.results[alert])
        for axis in axes[2 * len(alerts) :]:
            axis.set_axis_off()
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04)  # type: ignore[union-attr]
        figure.savefig(path, dpi=DPI, facecolor="white")


def _draw_curve(axis: Axes, classified: Classified, alert: int) -> None:
    curves, result = classified.curves, classified.results[alert]
    rows = slice(int(curves.offsets[alert]), int(curves.offsets[alert + 1]))
    mjd, band = curves.mjd[rows], curves.band[rows]
    flux, error, detected = curves.flux_njy[rows], curves.error_njy[rows], curves.detected[rows]
    start = np.floor(mjd[detected].min() if detected.any() else mjd.min(initial=0.0))
    days = mjd - start
    one_survey = len({NAMES[code].partition("_")[0] for code in set(band.tolist())}) == 1
    as_flux = bool((flux[detected] <= 0.0).any())
    for code in sorted(set(band.tolist()), key=lambda code: WAVELENGTHS_UM[code]):
        colour, marker = _LOOKS[NAMES[code][-1]]
        seen, missed = (band == code) & detected, (band == code) & ~detected
        if as_flux:
            values, errors = flux[seen] * 1e-3, error[seen] * 1e-3
            limits = _LIMIT_SIGMA * error[missed] * 1e-3
        else:
            values = AB_ZERO_POINT - 2.5 * np.log10(flux[seen])
            errors = 2.5 / np.log(10.0) * error[seen] / flux[seen]
            limits = AB_ZERO_POINT - 2.5 * np.log10(_LIMIT_SIGMA * error[missed])
        axis.plot(
            days[missed], limits, linestyle="", marker=r"$\downarrow$", markersize=6.5, markeredgewidth=0,
            color=colour, alpha=0.45,
        )  # fmt: skip
        axis.errorbar(
            days[seen], values, errors, linestyle="", marker=marker, markersize=4.6, color=colour,
            markeredgecolor="white", markeredgewidth=0.6, elinewidth=1.1, capsize=0,
            label=NAMES[code][-1] if one_survey else NAMES[code].replace("_", " "),
        )  # fmt: skip
    axis.set_xlabel(f"days since MJD {start:.0f}")
    axis.set_ylabel("flux, µJy" if as_flux else "AB magnitude")
    if as_flux:
        axis.axhline(0.0, color=FAINT, linewidth=0.8)
    else:
        axis.invert_yaxis()
    axis.set_title(_title(result), fontweight="bold")
    axis.margins(x=0.04, y=0.12)
    if detected.any():
        legend = axis.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, fontsize=8, labelcolor=FAINT,
            handlelength=1.0, handletextpad=0.2, columnspacing=0.8, borderpad=0, borderaxespad=0.4,
        )  # fmt: skip
        legend.set_in_layout(False)  # the title has the room already


def _title(result: Mapping[str, Any]) -> str:
    best = result["best"]
    found = best if best == ABSTAINED else f"{best}, {100 * result['p'][best]:.0f} %"
    return f"{result['object_id']}: {found}"


def _draw_classes(axis: Axes, result: Mapping[str, Any]) -> None:
    """Draw a bar for each class, the kinds of the tree apart from each other."""
    place = 0.0
    for kinds in TREE.values():
        for leaves in kinds.values():
            for name in leaves:
                _draw_class(axis, place, name, result["p"][name], chosen=name == result["best"])
                place += 1.0
        place += 0.6
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


assert {name for kinds in TREE.values() for leaves in kinds.values() for name in leaves} == set(CLASSES)
