# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The last ten minutes of each node, one point a second, in memory that does not grow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SERIES = (
    "rate_out_hz",
    "rate_in_hz",
    "latency_p50_ms",
    "latency_p99_ms",
    "age_p50_ms",
    "age_p99_ms",
    "dropped",
    "watts",
    "j_per_result",
)
"""What is kept: `dropped` is of the second before the point, the rest as the node reports it."""

_DIGITS = ".4g"


class History:
    """Rings of fixed size.

    Args:
        points: How many points are kept.
        nodes: How many nodes are; of more, the one that was not heard for longest goes.
    """

    def __init__(self, points: int = 600, nodes: int = 100) -> None:
        self._points = points
        self._most = nodes
        self._count = 0
        self._at = np.zeros(points)
        self._rings: dict[str, _Ring] = {}

    def __len__(self) -> int:
        """Return how many nodes are kept."""
        return len(self._rings)

    def tick(self, at_s: float, figures: Mapping[str, Mapping[str, float | None]]) -> None:
        """Add a point.

        Args:
            at_s: The present time.
            figures: Of each node that is heard: `SERIES`, where `dropped` is the total so far.
        """
        place = self._count % self._points
        self._at[place] = at_s
        self._count += 1
        for ring in self._rings.values():
            ring.values[:, place] = np.nan
        for name, values in figures.items():
            known = self._rings.pop(name, None)
            ring = _Ring(self._points) if known is None else known
            self._rings[name] = ring  # the last one heard stands last
            ring.take(place, self._count, values)
        for name, ring in list(self._rings.items()):
            if len(self._rings) <= self._most and self._count - ring.heard < self._points:
                break
            del self._rings[name]

    def as_json(self) -> bytes:
        """Return everything, oldest first; what is not known is null."""
        first = max(0, self._count - self._points)
        order = np.arange(first, self._count) % self._points
        nodes = {
            name: {series: _plain(ring.values[row, order]) for row, series in enumerate(SERIES)}
            for name, ring in sorted(self._rings.items())
        }
        at = [round(value, 2) for value in self._at[order].tolist()]
        return json.dumps({"at": at, "nodes": nodes}, allow_nan=False, separators=(",", ":")).encode()


class _Ring:
    def __init__(self, points: int) -> None:
        self.values: NDArray[np.float32] = np.full((len(SERIES), points), np.nan, np.float32)
        self.heard = 0
        self._dropped: float | None = None

    def take(self, place: int, count: int, values: Mapping[str, float | None]) -> None:
        dropped = values.get("dropped")
        former, self._dropped = self._dropped, dropped
        known = {**values, "dropped": _gained(former, dropped)}
        for row, series in enumerate(SERIES):
            value = known.get(series)
            self.values[row, place] = math.nan if value is None else value
        self.heard = count


def _gained(former: float | None, total: float | None) -> float | None:
    """Return what a counter gained; one that has fallen began anew."""
    if total is None:
        return None
    if former is None:
        return 0.0
    return total - former if total >= former else total


def _plain(values: NDArray[np.float32]) -> Sequence[Any]:
    return [float(f"{value:{_DIGITS}}") if math.isfinite(value) else None for value in values.tolist()]
