# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Plots of the benchmark of the transport, from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lowlat_nodes.benchmarks._svg import save, svg_pyplot

_OURS: Final = "#1b7f3b"
_LINKS: Final = {
    "ours_loan": ("ours, loan", _OURS),
    "ours_shm": ("ours, shared memory", "#4fa96b"),
    "ours_ipc": ("ours, frames", "#9fd3af"),
    "pyzmq_nocopy_ipc": ("pyzmq, copy=False", "#9ecae9"),
    "pyzmq_copy_ipc": ("pyzmq", "#4c78a8"),
    "rclpy_tuned_reliable": ("rclpy, tuned", "#e5b23b"),
    "rclpy_default_reliable": ("rclpy", "#e58f3b"),
    "memcpy": ("cold copy alone", "#9aa0a6"),
}
"""Label and colour of the links that are drawn."""

_SIZES: Final = {"100b": "100 B", "10kb": "10 kB", "1mb": "1 MB", "6mb": "6.2 MB"}
_AGES: Final = {
    "ours_ipc": ("ours, ipc", _OURS),
    "ours_tcp": ("ours, tcp", _OURS),
    "ours_shm": ("ours, shared memory", _OURS),
    "pyzmq_hwm1_ipc": ("pyzmq, RCVHWM=1, ipc", "#4c78a8"),
    "pyzmq_hwm1_tcp": ("pyzmq, RCVHWM=1, tcp", "#4c78a8"),
}
_FAULTS: Final = {"kill": "#d1495b", "stop": "#e5b23b", "cut": "#4c78a8"}


def draw(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots for which there are figures as SVG into a folder and return their paths.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = {"latency": _latency, "newest_age": _newest_age, "faults": _faults, "soak": _soak}
    with svg_pyplot() as plt:
        return [
            save(plt, plot(plt, figures[name]), folder / f"transport_{name}.svg")
            for name, plot in plots.items()
            if name in figures
        ]


def _latency(plt: Any, cases: Mapping[str, Any]) -> Any:
    """Median one-way latency by size."""
    figure, axes = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    links = [link for link in _LINKS if link in cases["6mb"]]
    width = 0.86 / len(links)
    for index, link in enumerate(links):
        label, colour = _LINKS[link]
        shown = [case for case in _SIZES if link != "memcpy" or case in {"1mb", "6mb"}]
        at = [list(_SIZES).index(case) + (index - (len(links) - 1) / 2) * width for case in shown]
        axes.bar(at, [cases[case][link]["p50_us"] for case in shown], width, color=colour, label=label)
    axes.set_yscale("log")
    axes.set_xticks(range(len(_SIZES)), list(_SIZES.values()))
    axes.set_ylabel("µs from array to array, median")
    axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, ncols=2)
    return figure


def _newest_age(plt: Any, figures: Mapping[str, Any]) -> Any:
    """How old the newest value is, p50 and p99."""
    links = figures["links"]
    names = [name for name in _AGES if name in links][::-1]
    figure, axes = plt.subplots(figsize=(7.2, 2.2), layout="constrained")
    at = np.arange(len(names))
    colours = [_AGES[name][1] for name in names]
    bars = axes.barh(at, [links[name]["p99_ms"] for name in names], 0.6, color=colours)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xscale("log")
    axes.set_yticks(at, [_AGES[name][0] for name in names])
    rates = f"{figures['producer_hz']:.0f} Hz of 1 MB read at {figures['consumer_hz']:.0f} Hz"
    axes.set_xlabel(f"age when used, ms, p99; {rates}")
    return figure


def _faults(plt: Any, figures: Mapping[str, Any]) -> Any:
    """How long each fault took to be over, by kind and role."""
    figure, axes = plt.subplots(figsize=(7.2, 3.0), layout="constrained")
    roles = list(dict.fromkeys(fault["role"] for fault in figures["each"]))
    for offset, (kind, colour) in zip((-0.22, 0.0, 0.22), _FAULTS.items(), strict=True):
        found = [fault for fault in figures["each"] if fault["kind"] == kind]
        at = [roles.index(fault["role"]) + offset for fault in found]
        axes.plot(
            at, [fault["recovery_s"] for fault in found], "o", ms=3.5, alpha=0.6, color=colour, label=kind
        )
    axes.axhline(figures["bound_s"], color="#888888", lw=0.8, ls="--")
    axes.set_xticks(range(len(roles)), roles)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("s until messages flow again")
    axes.legend(frameon=False, loc="upper left", ncols=3)
    return figure


def _soak(plt: Any, figures: Mapping[str, Any]) -> Any:
    """Latency and memory, minute by minute."""
    minutes = figures["by_minute"]
    at = np.arange(1, len(minutes) + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.6), layout="constrained")
    for name, colour in (("images", _OURS), ("commands", "#4c78a8")):
        for quantile, line in (("p50_us", "-"), ("p99_us", "--")):
            values = [minute[name][quantile] for minute in minutes]
            left.plot(at, values, line, color=colour, label=f"{name}, {quantile[:3]}")
    left.set_ylim(bottom=0.0)
    left.set_xlabel("minute")
    left.set_ylabel("µs")
    left.legend(frameon=False, fontsize=7)
    for name in minutes[0]["rss_mb"]:
        values = [minute["rss_mb"][name] - minutes[0]["rss_mb"][name] for minute in minutes]
        right.plot(at, values, label=name)
    right.set_xlabel("minute")
    right.set_ylabel("resident MB more than at first")
    right.legend(frameon=False, fontsize=7)
    return figure
