# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Plots of the benchmark of the detector, from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lowlat_nodes.benchmarks._svg import save, svg_pyplot

STAGES: Final = {
    "transport": ("transport", "#4c78a8"),
    "wake_up": ("wake-up", "#9ecae9"),
    "prepare": ("letterbox", "#e58f3b"),
    "model": ("model", "#c9d5de"),
    "decode": ("decode", "#8e6bbf"),
    "publish": ("publish", "#1b7f3b"),
}
"""Stage of a frame: its label and colour."""

_NODES: Final = {"naive": ("straightforward node", "#d1495b"), "ours": ("detector_node", "#1b7f3b")}


def draw(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots for which there are figures as SVG into a folder and return their paths.

    Raises:
        MissingExtra: If Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with svg_pyplot() as plt:
        return [
            save(plt, plot(plt, figures), folder / f"detector_{name}.svg")
            for name, needed, plot in (("stages", "stages_ms", _stages), ("ages", "age_quantiles_ms", _ages))
            if needed in figures
        ]


def _stages(plt: Any, figures: Mapping[str, Any]) -> Any:
    """Where the time of a frame goes, for both models."""
    cases = {
        "1280x720, 640 px model, float32": figures["stages_ms"],
        "640x480, 320 px model, INT8": figures["stages_ms_320_int8"],
    }
    figure, axes = plt.subplots(figsize=(7.2, 2.0), layout="constrained")
    for row, stages in enumerate(cases.values()):
        left = 0.0
        for name, (label, colour) in STAGES.items():
            axes.barh(row, stages[name], left=left, color=colour, label=label if not row else None)
            left += stages[name]
    axes.set_yticks(range(len(cases)), list(cases))
    axes.invert_yaxis()
    axes.set_xlabel("ms from frame published to detections published, medians")
    figure.legend(loc="outside upper center", ncols=len(STAGES), frameon=False)
    return figure


def _ages(plt: Any, figures: Mapping[str, Any]) -> Any:
    """How old detections are when they arrive, as a distribution."""
    figure, axes = plt.subplots(figsize=(7.2, 2.6), layout="constrained")
    for name, (label, colour) in _NODES.items():
        shares, ages = zip(*figures["age_quantiles_ms"][name], strict=True)
        axes.plot(ages, shares, color=colour, label=label)
    axes.set_xlim(left=0.0)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel("age of a detection when it arrives, ms; 30 frames a second offered")
    axes.set_ylabel("share of detections")
    axes.legend(frameon=False, loc="lower right")
    return figure
