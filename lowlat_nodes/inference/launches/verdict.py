# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the host or the device bounds an inference, and from which batch size on.

SKIP (arXiv 2504.11750) looks at TKLQT over batch sizes. While the host is the slower one, each kernel starts
as soon as it is launched: TKLQT is what launching takes, the same for every batch size. Once the device is
the slower one, kernels queue, each for all before it: TKLQT rises in proportion to the time of the kernels.
The bend between the two is found by the least squares of a constant that goes over into a rising line,
relative to the measured values; it counts if the line ends at half as much again as the constant or higher.

Where TKLQT is flat, the device's work decides: it is the bound if it works for nine tenths of the time from
the first call for work to the end of the last work. A few long kernels never queue, a graph is launched at
once whatever its size, and one batch size makes no curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowlat_nodes.inference.launches.figures import Figures
from lowlat_nodes.stream.payload import Floats

RISE = 1.5
"""Times the constant: what TKLQT must reach within the batch sizes to be rising."""

BUSY = 0.9
"""Share of its time that the device works where it is the bound."""

FEWEST = 3
"""Batch sizes that make a curve."""

_KNEES = 512


@dataclass(frozen=True)
class Bend:
    """A constant that goes over into a rising line.

    Attributes:
        knee: The batch size at which it does.
        flat_us: The constant.
        slope_us: What one more in the batch adds above the knee; 0 where nothing rises.
        error: Root of the mean square of the relative residuals.
    """

    knee: float
    flat_us: float
    slope_us: float
    error: float

    def at(self, batch: float) -> float:
        """Return the fitted TKLQT, µs."""
        return self.flat_us + self.slope_us * max(0.0, batch - self.knee)


@dataclass(frozen=True)
class Verdict:
    """What bounds the inferences of a trace.

    Attributes:
        bound: cpu or gpu at all batch sizes; turns: cpu up to some batch size, gpu above; mixed: none of
            these; none: nothing was launched.
        by_batch: cpu or gpu, by batch size.
        turn: The batch size at which it turns, as fitted or the geometric mean of its neighbours; None if it
            does not.
        bend: The fit, None where there was no curve to fit.
        text: All that in a sentence.
        advice: What to do about it.
    """

    bound: str
    by_batch: dict[int, str]
    turn: float | None
    bend: Bend | None
    text: str
    advice: str


def verdict(figures: Sequence[Figures], *, lost: int = 0) -> Verdict:
    """Return what bounds the inferences.

    Args:
        figures: Of one or more batch sizes, the smallest first.
        lost: Launches of the trace whose kernels are not in it.
    """
    launching = [each for each in figures if each.launches]
    if not launching and lost:
        text = f"not known: {lost} launches are in the trace, but none of their kernels"
        return Verdict("none", {}, None, None, text, "Let this user profile the GPU (CUPTI), and try again.")
    if not launching:
        advice = "The time goes into operators on the CPU, and into what is around them."
        return Verdict("none", {}, None, None, "no GPU: nothing is launched", advice)
    by_work = {each.batch: _by_work(each) for each in launching}
    curve = [each for each in launching if each.batch]
    bend = None
    if len(curve) >= FEWEST and not any(each.graphs for each in curve):
        bend = fit([each.batch for each in curve], [each.tklqt_us for each in curve])
    rises = bend is not None and bend.at(curve[-1].batch) >= RISE * bend.flat_us
    if bend is not None and rises:
        by_batch, turn = _by_bend(bend, {batch: by_work[batch] for batch in by_work if batch})
    else:
        by_batch, turn = by_work, _turn(by_work)
    bounds = set(by_batch.values())
    bound = "turns" if turn is not None else bounds.pop() if len(bounds) == 1 else "mixed"
    text = _text(bound, by_batch, turn, bend, rises=rises)
    return Verdict(bound, by_batch, turn, bend, text, _advice(bound, launching))


def fit(batches: Sequence[float], tklqt_us: Sequence[float]) -> Bend:
    """Return the constant and rising line that fit best, by squares of relative residuals.

    Args:
        batches: Batch sizes, in rising order.
        tklqt_us: TKLQT of each, above 0.
    """
    sizes, values = np.asarray(batches, float), np.maximum(np.asarray(tklqt_us, float), 1e-9)
    found = [_fit_at(knee, sizes, values) for knee in np.geomspace(sizes[0], sizes[-1], _KNEES)]
    return min(found, key=lambda bend: bend.error)


def _fit_at(knee: float, sizes: Floats, values: Floats) -> Bend:
    """Return the best constant and slope for a knee; neither is negative."""
    rise = np.maximum(0.0, sizes - knee)
    columns = np.stack([1.0 / values, rise / values], 1)
    ones = np.ones(len(values))
    solution: Floats = np.zeros(2)
    if rise.any():
        solution = np.asarray(np.linalg.lstsq(columns, ones, rcond=None)[0], np.float64)
    if solution[0] <= 0.0 or solution[1] <= 0.0:
        solution = np.array([columns[:, 0].sum() / (columns[:, 0] ** 2).sum(), 0.0])
    residuals = columns @ solution - ones
    return Bend(float(knee), float(solution[0]), float(solution[1]), float(np.sqrt(np.mean(residuals**2))))


def _by_work(figures: Figures) -> str:
    return "gpu" if figures.busy_us >= BUSY * (figures.busy_us + figures.gap_us) else "cpu"


def _by_bend(bend: Bend, by_work: dict[int, str]) -> tuple[dict[int, str], float | None]:
    """Return what bounds each batch size by a curve that rises, and where it turns."""
    batches = sorted(by_work)
    # A curve that rises from its first point on does not say whether that one is flat.
    if bend.knee < batches[1] and by_work[batches[0]] == "gpu":
        return dict.fromkeys(batches, "gpu"), None
    by_batch = {batch: "gpu" if batch > bend.knee else "cpu" for batch in batches}
    # A line through one point may begin anywhere before it.
    return by_batch, _turn(by_batch) if by_batch[batches[-2]] == "cpu" else bend.knee


def _turn(by_batch: dict[int, str]) -> float | None:
    """Return the geometric mean of the last batch size that the host bounds and the next one."""
    batches = sorted(by_batch)
    bounds = [by_batch[batch] for batch in batches]
    first = bounds.index("gpu") if "gpu" in bounds else 0
    if first == 0 or "cpu" in bounds[first:]:
        return None
    return math.sqrt(batches[first - 1] * batches[first])


def _text(bound: str, by_batch: dict[int, str], turn: float | None, bend: Bend | None, *, rises: bool) -> str:
    sizes = sorted(by_batch)
    at = f" at batch sizes {sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else ""
    if turn is not None:
        how = "TKLQT begins to rise" if rises else "the device is busy throughout"
        return f"CPU-bound up to a batch size of about {float(f'{turn:.2g}'):g}, GPU-bound above, where {how}"
    if bound == "mixed":
        each = ", ".join(f"{batch}: {by_batch[batch].upper()}" for batch in sizes)
        return f"no clear bound ({each}); profile more inferences"
    if bound == "cpu":
        flat = f": TKLQT stays at about {bend.flat_us:.4g} µs" if bend is not None and not rises else ""
        return f"CPU-bound{at}{flat}; the device waits for launches"
    return f"GPU-bound{at}: the device works nearly all the time"


def _advice(bound: str, launching: Sequence[Figures]) -> str:
    first = launching[0]
    if bound == "gpu":
        return (
            "Launching costs nothing here, and a graph would gain nothing. Fewer steps, a lower precision or "
            "a smaller model would."
        )
    wait = (
        f" The host waits {first.wait_us:.0f} µs for the device in between; take out what synchronises."
        if first.wait_us > first.gap_us / 2
        else ""
    )
    if first.graphs >= first.launches:
        return f"It is launched as a graph already, and takes less than that launch.{wait}"
    if first.graphs:
        return f"Some of it is launched as a graph already; launch the rest in it too.{wait}"
    larger = (
        " Or infer more at a time: up to that batch size it costs hardly more." if bound == "turns" else ""
    )
    saved_us, whole_us = first.gap_us, first.latency_us
    if first.unprofiled_us < whole_us:
        whole_us = first.unprofiled_us
        saved_us = min(saved_us, max(0.0, whole_us - first.busy_us))
    return (
        f"Launch it as one CUDA graph (docs/graphed_policy.md): that saves up to {saved_us:.0f} of "
        f"{whole_us:.0f} µs{_of(first)}.{larger}{wait}"
    )


def _of(figures: Figures) -> str:
    return f" at a batch size of {figures.batch}" if figures.batch else ""
