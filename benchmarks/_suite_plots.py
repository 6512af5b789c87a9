# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Plots of the control suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from lowlat_nodes.benchmarks._suite_figures import Pools
from lowlat_nodes.benchmarks._svg import save, svg_pyplot
from lowlat_nodes.sim.score import wilson_ci95
from lowlat_nodes.train.evaluate import TASKS
from lowlat_nodes.train.step_delay import STEP_NS

SHOWN: Final = {
    "oracle": ("zero latency", "#9aa0a6", "--"),
    "sync": ("sync, 25 rows", "#b8860b", "-"),
    "naive_async": ("naive, row 0", "#d1495b", "-"),
    "naive_aligned": ("naive, aligned", "#e58f9b", "-"),
    "rtc": ("RTC", "#8e6bbf", "-"),
    "rtc_trained": ("RTC, trained", "#b79fd9", "-"),
    "vlash_last_action": ("VLASH, last action", "#4c78a8", "-"),
    "vlash_actuator": ("VLASH, drive model", "#72b7b2", "-"),
    "ours": ("ours", "#1b7f3b", "-"),
}
"""Label, colour and line of the methods that are drawn."""


def draw(pools: Pools, delays: Sequence[int], folder: Path) -> list[Path]:
    """Write the plots as SVG into a folder and return their paths.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    with svg_pyplot() as plt:
        return [
            save(plt, plot(plt, pools, delays), folder / f"control_suite_{name}.svg")
            for name, plot in (("success", _success), ("reaction", _reaction), ("smoothness", _smoothness))
        ]


def _success(plt: Any, pools: Pools, delays: Sequence[int]) -> Any:
    figure, axes = plt.subplots(1, len(TASKS), figsize=(9.5, 3.3), sharey=True, layout="constrained")
    for axis, task in zip(axes, TASKS, strict=True):
        for method, (label, colour, line) in SHOWN.items():
            at = [delay for delay in delays if (task, method, delay, 0) in pools]
            cells = [pools[task, method, delay, 0] for delay in at]
            spans = [wilson_ci95(int(cell.series.sum()), cell.trials) for cell in cells]
            rates = [cell.rate for cell in cells]
            width = 2.4 if method == "ours" else 1.3
            axis.plot(at, rates, line, color=colour, lw=width, marker="o", ms=3, label=label)
            low, high = zip(*spans, strict=True)
            axis.fill_between(at, low, high, color=colour, alpha=0.12, lw=0)
        axis.set_title(task, fontsize=9, loc="left")
        axis.set_xticks(list(delays))
        axis.set_xlabel(f"inference delay (steps of {STEP_NS // 1_000_000} ms)")
        axis.grid(axis="y", color="#e6e6e6", lw=0.6)
    axes[0].set_ylabel("success")
    axes[0].set_ylim(-0.02, 1.02)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def _reaction(plt: Any, pools: Pools, delays: Sequence[int]) -> Any:
    """Distributions of reaction times at one delay, over all tasks."""
    delay = 4 if 4 in delays else delays[-1]
    figure, axis = plt.subplots(figsize=(9.5, 3.3), layout="constrained")
    for method, (label, colour, line) in SHOWN.items():
        reactions = np.concatenate([pools[task, method, delay, 0].reaction_ms for task in TASKS])
        missed = sum(
            record["reactions_missed"] for task in TASKS for record in pools[task, method, delay, 0].records
        )
        share = np.linspace(0.0, 1.0, 201)
        axis.plot(
            np.quantile(reactions, share),
            share * len(reactions) / (len(reactions) + missed),
            line,
            color=colour,
            lw=2.4 if method == "ours" else 1.3,
            label=label,
        )
    axis.set_xlabel(f"ms from a surprise to the first command that differs, delay of {delay} steps")
    axis.set_ylabel("share of surprises")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 1.01)
    axis.grid(color="#e6e6e6", lw=0.6)
    axis.legend(frameon=False, loc="lower right")
    return figure


def _smoothness(plt: Any, pools: Pools, delays: Sequence[int]) -> Any:
    """Success against boundary jumps at one delay."""
    delay = 4 if 4 in delays else delays[-1]
    figure, axis = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for method, (label, colour, _) in SHOWN.items():
        cells = [pools[task, method, delay, 0] for task in TASKS]
        rate = np.mean([cell.rate for cell in cells])
        jump = np.mean([cell.figures()["boundary_jump_p95_rad"] for cell in cells])
        size = 80 if method == "ours" else 40
        axis.scatter(jump, rate, color=colour, s=size, alpha=0.85, zorder=3, label=label)
    axis.set_xlim(left=0)
    axis.set_xlabel("jump of the command where chunks take over, 95 % quantile (rad)")
    axis.set_ylabel(f"success, delay of {delay} steps")
    axis.grid(color="#e6e6e6", lw=0.6)
    figure.legend(loc="outside right center", frameon=False)
    return figure
