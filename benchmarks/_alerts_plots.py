# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Plots of the benchmark of alerts, from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lowlat_nodes.benchmarks._svg import save, svg_pyplot

_COLOURS: Final = ("#4c78a8", "#e58f3b", "#8e6bbf", "#1b7f3b", "#9ecae9")
_OURS: Final = {
    "read": "packet to light curve",
    "classify": "network",
    "results": "result",
    "encode": "encode",
}
_THEIRS: Final = {
    "decode": "fastavro",
    "light_curve": "light curve",
    "gaussian_process": "Gaussian process",
    "network": "t2",
    "serialise": "encode",
}


def draw(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots for which there are figures as SVG into a folder and return their paths.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = (("chain", "chain_us", _chain), ("latency", "open_loop", _latency), ("detections", "sim", _f1))
    with svg_pyplot() as plt:
        return [
            save(plt, plot(plt, figures[needed]), folder / f"alerts_{name}.svg")
            for name, needed, plot in plots
            if needed in figures
        ]


def _chain(plt: Any, figures: Mapping[str, Any]) -> Any:
    """Where the time of an alert goes, in both chains, each on its own scale."""
    figure, rows = plt.subplots(2, 1, figsize=(7.2, 2.9), layout="constrained")
    cases = (
        ("lowlat_nodes, tokens", figures["ours_stages"], _OURS),
        ("fastavro, george, t2", figures["t2_chain_stages"], _THEIRS),
    )
    for axes, (name, stages, labels) in zip(rows, cases, strict=True):
        left = 0.0
        for (stage, label), colour in zip(labels.items(), _COLOURS, strict=False):
            axes.barh(0, stages[stage], left=left, color=colour, label=label)
            left += stages[stage]
        axes.set_yticks([0], [f"{name}\n{left:.0f} µs"])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.5), ncols=len(labels), frameon=False)
    rows[-1].set_xlabel("µs of one core for an alert of ZTF; the scales differ")
    return figure


def _latency(plt: Any, figures: Mapping[str, Any]) -> Any:
    """How long after an alert was due its result is there, as a distribution."""
    figure, axes = plt.subplots(figsize=(7.2, 2.6), layout="constrained")
    shares, latencies = zip(*figures["quantiles_ms"], strict=True)
    axes.plot(latencies, shares, color="#1b7f3b")
    axes.set_xlim(left=0.0)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel(f"ms from due to result received, at {figures['rate_hz']:.0f} alerts a second")
    axes.set_ylabel("share of alerts")
    return figure


def _f1(plt: Any, figures: Mapping[str, Any]) -> Any:
    """How much more is known of an object with each detection, in simulation."""
    by_detections = figures["as_they_come"]["macro_f1_by_detections"]
    figure, axes = plt.subplots(figsize=(7.2, 2.6), layout="constrained")
    bars = axes.bar(list(by_detections), list(by_detections.values()), color="#4c78a8", width=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=2)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel("detections in the alert; simulated")
    axes.set_ylabel("macro-F1, 12 classes")
    return figure
