# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of the report about the whole graph, as SVG text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.result import ABSTAINED
from lowlat_nodes.cli.demo.full.heard import Heard
from lowlat_nodes.cli.demo.full.result import ALERTS, DETECTOR, POLICY
from lowlat_nodes.cli.demo.plots import LIGHT, NARROW_IN, WIDE_IN, svg
from lowlat_nodes.cli.drawing import FAINT, INK, RULE, figure_of
from lowlat_nodes.stream.payload import Floats

CONTROL, VISION, SKY = "#0b7a75", "#2f6db3", "#7a4fa3"

_BINS = 48


def over_time(heard: Heard) -> str:
    """Return how old results were in each second, one row for each of the three paths."""
    rows = [
        ("policy: from the camera's image to the first command made of it", POLICY, "age", CONTROL),
        ("detector: from the camera's image to its detections", DETECTOR, "age", VISION),
        ("alerts: from the packet to its result", ALERTS, "latency", SKY),
    ]
    shown = [row for row in rows if heard.during(row[1])]
    with figure_of(WIDE_IN, 1.25 * len(shown) + 0.5, rows=len(shown), sharex=True) as (figure, axes):
        for axis, (title, node, figure_name, colour) in zip(axes, shown, strict=True):
            for share, width, alpha in (("p99", 1.0, 0.55), ("p50", 1.8, 1.0)):
                times_s, values_ms = heard.series(node, f"{figure_name}_{share}_ms")
                axis.plot(times_s, values_ms, color=colour, linewidth=width, alpha=alpha)
            axis.set_title(title, color=colour)
            axis.set_ylim(bottom=0.0)
            axis.set_ylabel("ms")
        axes[-1].set_xlim(0.0, heard.seconds)
        axes[-1].set_xlabel("s since the first light (strong: median of each second, thin: 99 %)")
        return svg(figure, "Age of results over the run, for policy, detector and alerts")


def ages(values_ms: Floats, colour: str, label: str, description: str) -> str:
    """Return how times are distributed, with a line at the median and one at 99 %."""
    with figure_of(NARROW_IN, 2.3) as (figure, [axis]):
        if values_ms.size:
            top_ms = max(float(np.quantile(values_ms, 0.999)) * 1.1, 1.0)
            bins = np.linspace(0.0, top_ms, _BINS)
            axis.hist(np.minimum(values_ms, top_ms).tolist(), bins.tolist(), color=colour, alpha=0.85)
            for share, style in ((0.5, "-"), (0.99, (0, (3, 2)))):
                axis.axvline(float(np.quantile(values_ms, share)), color=INK, linewidth=1.0, linestyle=style)
            axis.set_xlim(0.0, top_ms)
        axis.grid(visible=False, axis="x")
        axis.locator_params(axis="y", integer=True, nbins=4)
        axis.set_xlabel(f"{label} (lines: median and 99 %)")
        return svg(figure, description)


def lights(heard: Heard) -> str:
    """Return how many lights went on and were touched over time."""
    on_s, touched_s = np.sort(heard.light_times_s("on")), np.sort(heard.light_times_s("hit"))
    with figure_of(NARROW_IN, 2.3) as (figure, [axis]):
        axis.step(
            [0.0, *on_s], range(len(on_s) + 1), where="post", color=LIGHT, linewidth=1.0,
            linestyle=(0, (2, 2)), label=f"went on: {len(on_s)}",
        )  # fmt: skip
        axis.step(
            [0.0, *touched_s, heard.seconds], [*range(len(touched_s) + 1), len(touched_s)], where="post",
            color=CONTROL, label=f"touched in time: {len(touched_s)}",
        )  # fmt: skip
        axis.legend(loc="upper left")
        axis.set_xlim(0.0, heard.seconds)
        axis.set_ylim(bottom=0.0)
        axis.set_xlabel("s since the first light")
        axis.set_ylabel("lights")
        return svg(figure, "Lights that went on and that were touched over time")


def cores(nodes: Mapping[str, Mapping[str, Any]], machine_cores: int) -> str:
    """Return how much of the machine each node kept at work."""
    known = sorted(
        ((node["cpu"], name) for name, node in nodes.items() if node["cpu"] is not None), reverse=True
    )
    with figure_of(NARROW_IN, 0.27 * len(known) + 0.7) as (figure, [axis]):
        names = [name for _, name in known]
        axis.barh(names, [100.0 * share for share, _ in known], color=CONTROL, alpha=0.85, height=0.62)
        axis.invert_yaxis()
        for row, (share, _) in enumerate(known):
            axis.annotate(
                f"{100.0 * share:.0f} %", (100.0 * share, row), (4, 0), textcoords="offset points",
                va="center", fontsize=8, color=FAINT,
            )  # fmt: skip
        total = sum(share for share, _ in known)
        axis.margins(x=0.15)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel(f"% of a core; {total:.2f} of {machine_cores} cores in all")
        return svg(figure, "CPU time of each node")


def classes(results: Sequence[Mapping[str, Any]]) -> str:
    """Return what the classifier said of the objects of each class, where they are named by it."""
    counted: dict[str, Counter[str]] = {name: Counter() for name in CLASSES}
    for result in results:
        truth = str(result["object_id"]).rpartition(" ")[0]
        if truth in counted:
            best = result["best"]
            counted[truth]["right" if best == truth else "unsure" if best == ABSTAINED else "wrong"] += 1
    shown = {name: each for name, each in counted.items() if each}
    looks = {"right": SKY, "wrong": LIGHT, "unsure": RULE}
    with figure_of(NARROW_IN, 0.25 * max(len(shown), 1) + 0.9) as (figure, [axis]):
        left = np.zeros(len(shown))
        for word, colour in looks.items():
            widths = np.array([each[word] for each in shown.values()], dtype=np.float64)
            axis.barh(list(shown), widths.tolist(), 0.62, left.tolist(), color=colour, alpha=0.9, label=word)
            left += widths
        if shown:
            axis.invert_yaxis()
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("alerts")
        return svg(figure, "What the classifier said of the objects of each class")
