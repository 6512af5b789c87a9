# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Energy over time as a picture: the power of each meter by who caused it, and joules per result."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowlat_nodes.cli.drawing import FAINT, INK, figure_of
from lowlat_nodes.cli.energy_history import COST, IDLE, NODE, POWER, UNATTRIBUTED, Row
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN, _POWER_IN, _COST_IN = 9.6, 2.4, 2.2
_MOST_PANELS = 6
_IDLE_SHADE, _UNATTRIBUTED_SHADE = "#e3e7ea", "#b4bdc6"
_NODE_SHADES = ("#0b7a75", "#b0740a", "#2f6db3", "#b2436e", "#7a4fa3", "#5a7a1f", "#d9483b", "#3f7f9c")
_STYLES = ("-", "--", ":", "-.")  # of the buckets of a node
_GAP_PERIODS = 3.5  # without figures for so long, nothing is drawn in between


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture of a history as SVG.

    Args:
        rows: Of one host, in any order.
        path: Where to write.

    Raises:
        ConfigurationError: If there is nothing to draw, or `path` cannot be written.
        MissingExtra: If Matplotlib is not installed.
    """
    drawn = _Drawn(rows)
    powers = drawn.meters()
    costs = drawn.costed()
    heights = [_POWER_IN] * len(powers) + [_COST_IN] * len(costs)
    with figure_of(_WIDTH_IN, sum(heights) + 0.6, rows=len(heights), sharex=True) as (figure, axes):
        for axis, meter in zip(axes, powers, strict=False):
            _draw_power(axis, drawn, meter)
        for axis, (meter, unit) in zip(axes[len(powers) :], costs, strict=True):
            _draw_cost(axis, drawn, meter, unit)
        begin = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(drawn.begin_ns * 1e-9))
        axes[-1].set_xlabel(f"s since {begin} UTC")
        axes[-1].set_xlim(0.0, max(drawn.end_s, 1e-3))
        figure.suptitle(drawn.title, color=INK, fontsize=11, x=0.01, ha="left")
        _save(figure, path)


class _Drawn:
    """What of a history is drawn, on one axis of time."""

    def __init__(self, rows: Sequence[Row]) -> None:
        power = [row for row in rows if row.quantity == POWER]
        if not power:
            raise ConfigurationError(
                "there is no power over time to draw; `lowlat energy meters` says which meters count here"
            )
        hosts = sorted({row.host for row in rows})
        if len(hosts) > 1:
            raise ConfigurationError(f"expected the figures of one host, got those of {', '.join(hosts[:5])}")
        self.begin_ns = min(row.time_ns for row in power)
        self.end_s = self._s(max(row.time_ns for row in power))
        fakes = sorted({row.fake for row in power if row.fake})
        self.title = f"energy of {hosts[0]}" + (f", FAKE METERS: {', '.join(fakes)}" if fakes else "")
        self._rows = sorted(rows, key=lambda row: row.time_ns)
        self.nodes = sorted({row.node for row in rows if row.node})
        shades = (_NODE_SHADES * (1 + len(self.nodes) // len(_NODE_SHADES)))[: len(self.nodes)]
        self.shades = dict(zip(self.nodes, shades, strict=True))

    def meters(self) -> list[str]:
        """Return the meters, those with most energy first, as many as there is room for."""
        sums: dict[str, float] = {}
        for row in self._of(POWER):
            sums[row.meter] = sums.get(row.meter, 0.0) + row.value
        return sorted(sums, key=lambda meter: -sums[meter])[:_MOST_PANELS]

    def costed(self) -> list[tuple[str, str]]:
        """Return meters and units of which there are costs, as many as there is room for."""
        found = dict.fromkeys((row.meter, row.unit) for row in self._of(COST))
        return list(found)[:_MOST_PANELS]

    def about(self, meter: str) -> str:
        """Return what a meter is called."""
        row = next(row for row in self._of(POWER) if row.meter == meter)
        return f"{meter}, {row.kind}{', FAKE' if row.fake else ''}"

    def times(self, meter: str) -> Floats:
        """Return when a meter was read, s."""
        return np.array(sorted({self._s(row.time_ns) for row in self._of(POWER, meter)}))

    def series(self, meter: str, quantity: str, node: str = "") -> Floats:
        """Return a part of a meter's power at all its times, 0 where there was none."""
        values = {self._s(row.time_ns): row.value for row in self._of(quantity, meter) if row.node == node}
        return np.array([values.get(time_s, 0.0) for time_s in self.times(meter)])

    def costs(self, meter: str, unit: str) -> dict[tuple[str, str], tuple[Floats, Floats, Floats]]:
        """Return times, costs and errors by node and bucket."""
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for row in self._of(COST, meter):
            if row.unit == unit:
                found.setdefault((row.node, row.bucket), []).append(
                    (self._s(row.time_ns), row.value, row.error)
                )
        return {name: tuple(np.array(points).T) for name, points in found.items()}

    def _of(self, quantity: str, meter: str = "") -> Iterable[Row]:
        return (row for row in self._rows if row.quantity == quantity and meter in ("", row.meter))

    def _s(self, time_ns: int) -> float:
        return (time_ns - self.begin_ns) * 1e-9


def _draw_power(axis: Axes, drawn: _Drawn, meter: str) -> None:
    times_s = drawn.times(meter)
    layers = [("idle", _IDLE_SHADE, drawn.series(meter, IDLE))]
    layers += [(node, drawn.shades[node], drawn.series(meter, NODE, node)) for node in drawn.nodes]
    layers.append(("unattributed", _UNATTRIBUTED_SHADE, drawn.series(meter, UNATTRIBUTED)))
    layers = [layer for layer in layers if layer[2].any()]
    for piece in _unbroken(times_s):
        bottom = np.zeros(len(times_s[piece]))
        for name, shade, watts in layers:
            top = bottom + watts[piece]
            label = name if piece.start == 0 else None
            axis.fill_between(times_s[piece], bottom, top, color=shade, linewidth=0, label=label)
            bottom = top
        label = "all of it" if piece.start == 0 else None
        total = drawn.series(meter, POWER)[piece]
        axis.plot(times_s[piece], total, color=INK, linewidth=0.9, label=label)
    axis.set_title(drawn.about(meter))
    axis.set_ylabel("W")
    axis.set_ylim(bottom=0.0)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_cost(axis: Axes, drawn: _Drawn, meter: str, unit: str) -> None:
    highest, styles = 0.0, dict.fromkeys(drawn.nodes, 0)
    for (node, bucket), (times_s, joules, errors) in drawn.costs(meter, unit).items():
        shade, style = drawn.shades[node], _STYLES[styles[node] % len(_STYLES)]
        styles[node] += 1
        name = f"{node} {bucket}".strip()
        if np.isnan(errors).all():
            name += ", by share"
        known = np.nan_to_num(errors)
        for piece in _unbroken(times_s):
            low, high = joules[piece] - known[piece], joules[piece] + known[piece]
            axis.fill_between(times_s[piece], low, high, color=shade, alpha=0.18, linewidth=0)
            label = name if piece.start == 0 else None
            axis.plot(times_s[piece], joules[piece], color=shade, linestyle=style, label=label)
        # The first windows have errors of any size; the axis is that of what came of them.
        settled = len(joules) // 4
        highest = max(highest, float(np.max((joules + known)[settled:])))
    axis.set_title(f"{unit} by {meter} (band: one standard error)")
    axis.set_ylabel(unit, color=FAINT)
    axis.set_ylim(0.0, 1.15 * highest or 1.0)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _unbroken(times_s: Floats) -> list[slice]:
    """Return the pieces between which figures are missing."""
    if len(times_s) < 3:
        return [slice(0, len(times_s))]
    steps = np.diff(times_s)
    cuts = [0, *(np.flatnonzero(steps > _GAP_PERIODS * np.median(steps)) + 1).tolist(), len(times_s)]
    return [slice(begin, end) for begin, end in itertools.pairwise(cuts)]


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error
