# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What one node uses now, by the meters that count for it, added where they may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lowlat_nodes.energy.figures import Figures, MeterFigures, NodeFigures
from lowlat_nodes.stream.meter import Kind

_WHOLE = ("board", "battery")  # devices that include all others, the narrower first


@dataclass(frozen=True, slots=True)
class Consumption:
    """What a node used in the last window.

    Attributes:
        watts: Its power; NaN where that is not known.
        rate_hz: Its results a second in the same window; NaN where that is not known.
        joules: Energy of one result by regression; NaN where there is none, or where results differ.
        error_j: Its standard error.
        meters: The meters that `watts` and `joules` are the sum of.
        modelled: Whether they are modelled; all of them are, or none.
        why: Why the power is not known; empty where it is.
    """

    watts: float = math.nan
    rate_hz: float = math.nan
    joules: float = math.nan
    error_j: float = math.nan
    meters: tuple[str, ...] = ()
    modelled: bool = False
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a power to judge."""
        return 0.0 <= self.watts < math.inf and 0.0 <= self.rate_hz < math.inf

    @classmethod
    def of(cls, figures: Figures | None, node: str) -> Consumption:
        """Return what a node uses.

        Measured figures win over modelled ones. Of one kind, those of devices (CPU, GPU, memory) are added,
        as they are attributed best; else that of the board counts, else that of the battery. What is part of
        another meter that counts is left out.

        Args:
            figures: Those of the host; None where nobody samples.
            node: Its full name.
        """
        if figures is None:
            return cls(why="no energy sampler runs on this host; start `lowlat energyd` or `energy_node`")
        used = figures.node(node)
        if used is None:
            return cls(why=f"the energy sampler has not seen {node} yet")
        for kind in (Kind.MEASURED, Kind.MODELLED):
            meters = _chosen([each for each in figures.meters if _counts(each, used, kind)])
            if meters:
                joules, error_j = _cost(used, meters)
                return cls(
                    watts=sum(used.watts[name] for name in meters),
                    rate_hz=used.rate_hz,
                    joules=joules,
                    error_j=error_j,
                    meters=meters,
                    modelled=kind is Kind.MODELLED,
                )
        reasons = [f"; {each.name}: {each.why}" for each in figures.meters if each.why]
        reasons += [f"; {each.name}: {each.why}" for each in figures.missing]
        return cls(rate_hz=used.rate_hz, why="no meter counts here" + "".join(reasons))


def _counts(meter: MeterFigures, used: NodeFigures, kind: Kind) -> bool:
    return meter.kind is kind and math.isfinite(used.watts.get(meter.name, math.nan))


def _chosen(meters: Sequence[MeterFigures]) -> tuple[str, ...]:
    of_devices = [each for each in meters if each.device not in _WHOLE]
    if of_devices:
        names = {each.name for each in of_devices}
        return tuple(each.name for each in of_devices if each.part_of not in names)
    whole = sorted(meters, key=lambda each: _WHOLE.index(each.device))
    return tuple(each.name for each in whole[:1])


def _cost(used: NodeFigures, meters: Sequence[str]) -> tuple[float, float]:
    """Return energy and standard error of a result where each meter has one by regression."""
    costs = [cost for cost in used.costs if cost.meter in meters and cost.method == "regression"]
    if sorted(cost.meter for cost in costs) != sorted(meters):
        return math.nan, math.nan
    return sum(cost.joules for cost in costs), math.hypot(*(cost.error_j for cost in costs))
