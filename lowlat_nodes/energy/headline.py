# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The energy of a node in one figure, out of all meters that saw it: for tables, budgets and reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, NodeFigures
from lowlat_nodes.stream.meter import Kind

NO_METER = "no meter: lowlat energy meters says what is missing"
UNSEEN = "the sampler has not seen this node yet"
UNUSED = "no meter has seen this node use anything yet"

_WHOLE = ("board", "battery")  # devices that include all others, the faster first
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Headline:
    """What a node uses, as far as one figure can say it.

    Attributes:
        kind: How it is known; unavailable where there is none.
        meters: Whose figures were added: all of one kind, none of them part of another.
        watts: Power in the last window.
        rate_hz: Results a second in the last window.
        joules: Energy since the sampler first saw the node.
        joules_per_result: Energy of a result; NaN where it is not known, or none came yet.
        error_j: Its standard error; 0 for a share.
        method: `regression` where it is one for all meters, else `share`; empty where it is not known.
        fake: What stands behind a meter that is no hardware; empty for real ones.
        why: What makes it doubtful, or why there is none; empty for nothing.
    """

    kind: Kind
    meters: tuple[str, ...] = ()
    watts: float = _NAN
    rate_hz: float = _NAN
    joules: float = _NAN
    joules_per_result: float = _NAN
    error_j: float = _NAN
    method: str = ""
    fake: str = ""
    why: str = ""

    def values(self, unit: str) -> dict[str, str | float]:
        """Return what diagnostics say of it.

        =================== ===============================================================
        energy.kind         measured, modelled or unavailable
        energy.unit         what a result is: chunk, detection, alert or result
        energy.j_per_result energy of one, NaN where it is not known
        energy.error_j      its standard error; 0 for a share
        energy.w            power
        energy.meters       whose figures these are
        energy.method       regression or share
        energy.fake         what stands behind a meter that is no hardware
        energy.why          what makes it doubtful, or why there is none
        =================== ===============================================================

        Args:
            unit: What a result is.
        """
        return {
            "energy.kind": self.kind.value,
            "energy.unit": unit,
            "energy.j_per_result": self.joules_per_result,
            "energy.error_j": self.error_j,
            "energy.w": self.watts,
            "energy.meters": " ".join(self.meters),
            "energy.method": self.method,
            "energy.fake": self.fake,
            "energy.why": self.why,
        }


def headline(figures: Figures | None, node: str, why: str = "") -> Headline:
    """Return the figure of a node.

    What is measured comes before what is modelled, and the two are never added. Meters of devices (CPU, GPU,
    memory), where it is known best who used what, are added, but none that another one includes; without
    any, the meter of the board counts, and the battery, which is slow, comes last.

    Args:
        figures: Of its host; None without a sampler.
        node: Full name of the node.
        why: Why there are none, as `Board.why` says it.
    """
    if figures is None:
        return Headline(Kind.UNAVAILABLE, why=why)
    found = figures.node(node)
    if found is None:
        return Headline(Kind.UNAVAILABLE, why=UNSEEN)
    known = [meter for meter in figures.meters if math.isfinite(_watts(found, meter.name))]
    for kind in (Kind.MEASURED, Kind.MODELLED):
        meters = _disjoint([meter for meter in known if meter.kind is kind])
        if meters:
            return _add(found, kind, meters)
    there = any(meter.kind is not Kind.UNAVAILABLE for meter in figures.meters)
    return Headline(Kind.UNAVAILABLE, why=UNUSED if there else NO_METER)


def cost_of(node: NodeFigures, meter: str) -> Cost | None:
    """Return the energy of a result of any bucket by one meter; None where it is not known.

    It is that of the bucket where there is one; of several, what the node used in the last window over what
    it made.
    """
    costs = [cost for cost in node.costs if cost.meter == meter]
    if len(costs) <= 1:
        return costs[0] if costs else None
    watts = node.watts.get(meter, _NAN)
    if not (node.rate_hz > 0.0 and math.isfinite(watts)):
        return None
    return Cost(meter, "", watts / node.rate_hz, 0.0, "share", f"of {len(costs)} buckets together")


def _disjoint(meters: Sequence[MeterFigures]) -> list[MeterFigures]:
    """Return meters none of whose figures includes another's."""
    devices = [meter for meter in meters if meter.device not in _WHOLE]
    if devices:
        names = {meter.name for meter in devices}
        return [meter for meter in devices if meter.part_of not in names]
    return sorted(meters, key=lambda meter: _WHOLE.index(meter.device))[:1]


def _watts(node: NodeFigures, meter: str) -> float:
    """Return the power of a node by one meter: its share, or where that is not known, what results cost."""
    cost = cost_of(node, meter)
    if meter in node.watts or cost is None:
        return node.watts.get(meter, _NAN)
    return cost.joules * node.rate_hz


def _add(node: NodeFigures, kind: Kind, meters: Sequence[MeterFigures]) -> Headline:
    names = tuple(meter.name for meter in meters)
    used = [name for name in names if node.joules.get(name) != 0.0]  # not a GPU that it leaves alone
    costs = [cost for cost in (cost_of(node, name) for name in used) if cost is not None]
    known = bool(costs) and len(costs) == len(used)
    doubts = dict.fromkeys(cost.why for cost in costs if cost.why)
    return Headline(
        kind=kind,
        meters=names,
        watts=sum(_watts(node, name) for name in names),
        rate_hz=node.rate_hz,
        joules=sum(node.joules.get(name, _NAN) for name in names),
        joules_per_result=sum(cost.joules for cost in costs) if known else _NAN,
        error_j=math.hypot(*(cost.error_j for cost in costs)) if known else _NAN,
        method=_method(costs) if known else "",
        fake=next((meter.fake for meter in meters if meter.fake), ""),
        why="; ".join(doubts),
    )


def _method(costs: Sequence[Cost]) -> str:
    return "regression" if all(cost.method == "regression" for cost in costs) else "share"
