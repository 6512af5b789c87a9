# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of the demo's report, as SVG text."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lowlat_nodes.cli.demo.recording import Inference, Recording
from lowlat_nodes.cli.demo.result import StrategyResult
from lowlat_nodes.cli.demo.ways import colour
from lowlat_nodes.cli.drawing import INK, figure_of
from lowlat_nodes.sim.score import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Results = Mapping[str, StrategyResult]

LIGHT = "#d9483b"
WIDE_IN, NARROW_IN = 9.6, 4.6

_TIMELINE_NS = 3_600_000_000
_PATH_TARGETS = 4


def reactions(results: Results) -> str:
    """Return the histogram of reaction times, one row for each strategy."""
    longest_ms = max(
        (1e-6 * result.score.reaction_quantile_ns(1.0) for result in results.values()), default=1000.0
    )
    limit_ms = 100.0 * (1 + np.ceil(np.nan_to_num(longest_ms, nan=900.0) / 100.0))
    bins = np.arange(0.0, limit_ms + 1.0, 25.0)
    with figure_of(NARROW_IN, 1.75 * len(results) + 0.5, rows=len(results), sharex=True) as (figure, axes):
        for axis, (name, result) in zip(axes, results.items(), strict=True):
            seen_ms = result.score.reaction_ns[~np.isnan(result.score.reaction_ns)] * 1e-6
            axis.hist(seen_ms.tolist(), bins.tolist(), color=colour(name), alpha=0.85)
            axis.set_title(_reaction_title(result), color=colour(name))
            axis.grid(visible=False, axis="x")
            axis.locator_params(axis="y", integer=True, nbins=3)
            if len(seen_ms):
                axis.axvline(float(np.median(seen_ms)), color=INK, linewidth=1.0)
        axes[-1].set_xlim(0.0, limit_ms)
        axes[-1].set_xlabel("ms from the light to the first command towards it (line: median)")
        return svg(figure, "Histogram of reaction times for each strategy")


def hits(results: Results) -> str:
    """Return the number of lights touched over the time of the run."""
    with figure_of(NARROW_IN, 2.7) as (figure, [axis]):
        for name, result in results.items():
            recording = result.recording
            touched_s = [(t.off_ns - recording.start_ns) * 1e-9 for t in recording.targets if t.hit]
            end_s = recording.seconds
            axis.step(
                [0.0, *touched_s, end_s],
                [*range(len(touched_s) + 1), len(touched_s)],
                where="post",
                color=colour(name),
                label=f"{name}: {len(touched_s)} of {result.score.targets}",
            )
        first = next(iter(results.values())).recording
        asked_s = [(target.onset_ns - first.start_ns) * 1e-9 for target in first.targets]
        axis.step(
            asked_s,
            range(1, len(asked_s) + 1),
            where="post",
            color=LIGHT,
            linewidth=1.0,
            linestyle=(0, (2, 2)),
            label="lights so far",
        )
        axis.legend(loc="upper left")
        axis.set_xlim(left=0.0)
        axis.set_ylim(bottom=0.0)
        axis.set_xlabel("s since the start of the schedule")
        axis.set_ylabel("lights touched")
        return svg(figure, "Lights touched over time")


def progress(results: Results) -> str:
    """Return how the commanded fingertip approaches the light, in the median of all targets."""
    since_ms = np.arange(0, 1001, 10)
    with figure_of(NARROW_IN, 2.7) as (figure, [axis]):
        for name, result in results.items():
            shares = np.array([_approach(result.recording, t, since_ms) for t in result.recording.targets])
            low, middle, high = np.nanquantile(shares, (0.25, 0.5, 0.75), axis=0)
            axis.fill_between(since_ms, low, high, color=colour(name), alpha=0.14, linewidth=0)
            axis.plot(since_ms, middle, color=colour(name), label=name)
        axis.legend(loc="upper left")
        axis.set_xlim(0, 1000)
        axis.set_ylim(-5, 110)
        axis.set_xlabel("ms since the light went on")
        axis.set_ylabel("way of the command to the light, %")
        return svg(figure, "Median approach of the commanded fingertip to the light, with quartiles")


def timeline(results: Results) -> str:
    """Return a few seconds of every run: lights, inferences from image to switch, and reactions."""
    number = _telling_target(results)
    with figure_of(WIDE_IN, 1.55 * len(results) + 0.6, rows=len(results), sharex=True) as (figure, axes):
        for axis, (name, result) in zip(axes, results.items(), strict=True):
            begin_ns = result.recording.targets[number].onset_ns - 400_000_000
            _draw_timeline(axis, result, begin_ns)
            axis.set_title(name, color=colour(name))
        axes[-1].set_xlim(0.0, _TIMELINE_NS * 1e-6)
        axes[-1].set_xlabel("ms")
        return svg(figure, "Lights, inferences and reactions over a few seconds of each run")


def paths(results: Results) -> str:
    """Return where the fingertip went for the same few lights, one panel for each strategy."""
    number = _telling_target(results)
    with figure_of(WIDE_IN, 2.9, columns=len(results), sharey=True) as (figure, axes):
        for axis, (name, result) in zip(axes, results.items(), strict=True):
            recording = result.recording
            shown = recording.targets[number : number + _PATH_TARGETS]
            inside = (recording.tip_stamp_ns >= shown[0].onset_ns) & (
                recording.tip_stamp_ns <= shown[-1].off_ns
            )
            axis.plot(*recording.tip_m[inside].T, color=colour(name), linewidth=1.3)
            for place, target in enumerate(shown, 1):
                axis.scatter(
                    target.x_m,
                    target.y_m,
                    s=150,
                    facecolor=LIGHT if target.hit else "white",
                    edgecolor=LIGHT,
                    linewidth=1.4,
                    zorder=3,
                )
                ink = "white" if target.hit else LIGHT
                axis.annotate(
                    str(place),
                    (target.x_m, target.y_m),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=ink,
                    zorder=4,
                )
            touched = sum(target.hit for target in shown)
            axis.set_title(f"{name}: {touched} of {len(shown)} touched", color=colour(name))
            axis.set_aspect("equal")
            axis.set_xlim(-0.66, 0.66)
            axis.set_ylim(-0.04, 0.68)
            axis.scatter(0.0, 0.0, marker="s", s=60, color=INK, zorder=3)
            axis.set_xlabel("m")
        axes[0].set_ylabel("m")
        return svg(figure, "Path of the fingertip over the same lights with each strategy")


def _reaction_title(result: StrategyResult) -> str:
    missed = result.score.missed_reactions
    title = f"{result.name}: half within {result.score.reaction_quantile_ns(0.5) * 1e-6:.0f} ms"
    return f"{title}, {missed} missed" if missed else title


def _telling_target(results: Results) -> int:
    """Return the first of a few successive targets at which the strategies differ most."""
    fates = [[target.hit for target in result.recording.targets] for result in results.values()]
    differs = [len(set(hits)) > 1 for hits in zip(*fates, strict=False)]
    telling = [sum(differs[k : k + _PATH_TARGETS]) for k in range(max(1, len(differs) - _PATH_TARGETS + 1))]
    return int(np.argmax(telling))


def _approach(recording: Recording, target: Target, since_ms: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    tips = recording.track.at(target.onset_ns + since_ms.astype(np.int64) * 1_000_000)
    distance = np.linalg.norm(tips - [target.x_m, target.y_m], axis=1)
    share: np.ndarray[Any, Any] = 100.0 * (1.0 - distance / distance[0])
    return share


def _draw_timeline(axis: Axes, result: StrategyResult, begin_ns: int) -> None:
    recording, ours = result.recording, colour(result.name)

    def at(time_ns: float) -> float:
        return (time_ns - begin_ns) * 1e-6

    for target, reaction_ns in zip(recording.targets, result.score.reaction_ns, strict=True):
        if not -_TIMELINE_NS < target.onset_ns - begin_ns < _TIMELINE_NS:
            continue
        axis.axvspan(at(target.onset_ns), at(target.off_ns), color=LIGHT, alpha=0.10, linewidth=0)
        axis.axvline(at(target.onset_ns), color=LIGHT, linewidth=1.0)
        if not np.isnan(reaction_ns):
            axis.plot(at(target.onset_ns + reaction_ns), 2.9, marker="v", color=INK, markersize=7)
        inside = LIGHT if target.hit else "white"
        axis.plot(at(target.off_ns), 3.6, marker="o", markersize=7, color=LIGHT, markerfacecolor=inside)
    for row, inference in enumerate(recording.inferences):
        if abs(inference.launched_ns - begin_ns) < 2 * _TIMELINE_NS:
            _draw_inference(axis, inference, row % 3, ours, at)
    axis.set_yticks([])
    axis.set_ylim(-0.7, 4.2)
    axis.grid(visible=False, axis="y")


def _draw_inference(axis: Axes, inference: Inference, row: int, shade: str, at: Any) -> None:
    """Draw an inference as one bar: image waiting, thinking, and the answer waiting for its tick."""
    parts = (
        (inference.observed_ns, inference.launched_ns, 0.25),
        (inference.launched_ns, inference.received_ns, 0.9),
    )
    for start_ns, end_ns, alpha in parts:
        if start_ns and end_ns:
            axis.barh(
                row, at(end_ns) - at(start_ns), 0.55, at(start_ns), color=shade, alpha=alpha, linewidth=0
            )
    if inference.switch_ns:
        axis.plot(
            [at(inference.received_ns), at(inference.switch_ns)], [row, row], color=shade, linewidth=1.0
        )
        axis.plot(at(inference.switch_ns), row, marker="|", color=INK, markersize=10, markeredgewidth=1.4)


def svg(figure: Figure, description: str) -> str:
    """Return a figure as an SVG element that scales with the page and tells screen readers what it shows."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    element = text.getvalue()
    element = element[element.index("<svg") :]
    return element.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)
