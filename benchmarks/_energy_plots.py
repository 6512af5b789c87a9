# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Plots of the benchmark of energy, from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lowlat_nodes.benchmarks._svg import save, svg_pyplot

_OURS: Final = "#1b7f3b"
_PLAIN: Final = "#d1495b"
_NODES: Final = ("#4c78a8", "#e58f3b")
_BAR: Final = "#888888"


def draw(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots for which there are figures as SVG into a folder and return their paths.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if "regression" not in figures:
        return []
    with svg_pyplot() as plt:
        return [
            save(plt, plot(plt, figures["regression"]), folder / f"energy_{name}.svg")
            for name, plot in (("course", _course), ("error", _error), ("windows", _windows))
        ]


def _course(plt: Any, figures: Mapping[str, Any]) -> Any:
    """How the cost of a result settles on one host, with twice its standard error."""
    course = figures["course"]
    seconds = [each["s"] for each in course]
    figure, rows = plt.subplots(1, 2, figsize=(7.2, 2.6), layout="constrained")
    for axes, (node, true_j), colour in zip(rows, figures["true_j"].items(), _NODES, strict=True):
        joules = [each["joules"][node] for each in course]
        low, high = (
            [found + sign * 2.0 * each["error_j"][node] for found, each in zip(joules, course, strict=True)]
            for sign in (-1.0, 1.0)
        )
        axes.fill_between(seconds, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.plot(seconds, joules, color=colour)
        axes.axhline(true_j, color=_BAR, linewidth=0.8, linestyle="--")
        axes.set_ylim(0.6 * true_j, 1.4 * true_j)
        axes.set_title(f"{node}: {true_j} J in truth", loc="left", fontsize=9)
        axes.set_xlabel("s; simulated")
    rows[0].set_ylabel("J a result, ± 2 standard errors")
    return figure


def _error(plt: Any, figures: Mapping[str, Any]) -> Any:
    """How large the error is over time, on half of all hosts."""
    course = figures["course"]
    figure, axes = plt.subplots(figsize=(7.2, 2.4), layout="constrained")
    axes.plot([each["s"] for each in course], [100.0 * each["error"] for each in course], color=_OURS)
    for second, bar, side in ((60, 5.0, "left"), (300, 3.0, "right")):
        axes.plot(second, bar, marker="v", color=_BAR, linestyle="none")
        axes.annotate(f"at most {bar:.0f} %", (second, bar), (0, 6), textcoords="offset points", ha=side)
    axes.set_ylim(0.0, 20.0)
    axes.set_xlabel("s; simulated")
    axes.set_ylabel("error of the worse node, %")
    return figure


def _windows(plt: Any, figures: Mapping[str, Any]) -> Any:
    """What the edges of windows do to least squares, and to ours."""
    by_window = figures["by_window"]
    figure, axes = plt.subplots(figsize=(7.2, 2.4), layout="constrained")
    for field, label, colour in (
        ("least_squares_300s", "least squares", _PLAIN),
        ("error_300s", "lowlat_nodes", _OURS),
    ):
        axes.plot(
            [float(length) for length in by_window],
            [100.0 * errors[field] for errors in by_window.values()],
            color=colour,
            marker="o",
            label=label,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([float(length) for length in by_window], list(by_window))
    axes.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
    axes.minorticks_off()
    axes.set_xlabel("length of a window, s; 300 s, simulated")
    axes.set_ylabel("error of the worse node, %")
    axes.legend(frameon=False)
    return figure
