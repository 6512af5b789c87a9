# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a host that does not exist, second by second."""

from __future__ import annotations

import math
import time

from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, Missing, NodeFigures
from lowlat_nodes.stream.meter import Kind

BEGIN_NS = 1_790_000_000_000_000_000


def meter(
    name: str = "rapl/package-0",
    *,
    kind: Kind = Kind.MEASURED,
    watts: float = 30.0,
    idle_w: float = 20.0,
    fake: str = "",
    why: str = "",
    part_of: str = "",
) -> MeterFigures:
    return MeterFigures(
        name=name, device="cpu", covers=("cpu",), part_of=part_of, fake=fake, kind=kind, period_s=0.001,
        resolution_j=1e-6, watts=watts, joules=1500.0, idle_w=idle_w, idle_j=900.0, nodes_j=400.0,
        unattributed_j=200.0, imbalance_j=0.0, unmetered_s=0.0, why=why,
    )  # fmt: skip


def node(
    name: str = "/detector_node", *costs: Cost, watts: float = 6.0, unit: str = "detection"
) -> NodeFigures:
    return NodeFigures(name, unit, 1000, 12.0, 9.0, math.nan, {"rapl/package-0": watts}, {}, costs)


def host(second: float = 0.0, **changes: object) -> Figures:
    """Figures of one second: a measured processor, a node with a cost, and a meter that is missing."""
    given = {
        "host": "robot1",
        "time_ns": BEGIN_NS + round(second * 1e9),
        "steady_ns": time.monotonic_ns(),
        "period_s": 1.0,
        "meters": (meter(),),
        "missing": (Missing("nvml", "no driver: install one"),),
        "nodes": (node("/detector_node", Cost("rapl/package-0", "", 0.5, 0.02, "regression")),),
    }
    return Figures(**{**given, **changes})  # type: ignore[arg-type]
