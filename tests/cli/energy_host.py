# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a host that does not exist, second by second."""

from __future__ import annotations

import math
import time

from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, Missing, NodeFigures
from lowlat_nodes.energy.ledger import Ledger, Window
from lowlat_nodes.energy.node_use import NodeUse
from lowlat_nodes.sim.power import NodeConfig, SimulatedMeter, Work
from lowlat_nodes.stream.clock import ManualClock
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


def simulated(seconds: int, seed: int = 1) -> list[Figures]:
    """Figures of a simulated GPU that two nodes use, by the real ledger: 1.5 J a detection, 8 J an action.

    docs/images/energy_show.svg is of 300 s of it.
    """
    clock = ManualClock()
    nodes = {
        "/detector_node": (
            "detection",
            Work(NodeConfig(joules=1.5, rate_hz=20.0, busy_s=0.02), seconds, seed),
        ),
        "/policy_node": ("action", Work(NodeConfig(joules=8.0, rate_hz=3.0, busy_s=0.1), seconds, seed + 1)),
    }
    works = tuple(work for _, work in nodes.values())
    ledger = Ledger([SimulatedMeter(70.0, works, clock=clock, seed=seed, name="simulated/gpu0")])
    made = []
    ledger.read(clock.now_ns())
    for second in range(1, seconds + 1):
        for _ in range(10):
            clock.advance(100_000_000)
            ledger.read(clock.now_ns())
        used = {}
        for name, (unit, work) in nodes.items():
            before, after = work.counts([second - 1.0, second])
            busy_ns = 1e9 * work.config.busy_s * float(after - before)
            used[name] = NodeUse(
                unit, int(after) - int(before), {"": float(after - before)}, 0.0, {"gpu0": busy_ns}
            )
        busy = {"gpu0": sum(use.gpu_ns["gpu0"] for use in used.values()) + 5e7}
        ledger.settle(Window(1.0, used, 2, 1e8, busy))
        time_ns = BEGIN_NS + second * 1_000_000_000
        made.append(Figures("robot1", time_ns, clock.now_ns(), 1.0, ledger.meters(), (), ledger.nodes()))
    ledger.close()
    return made
