# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who used a device for how long, and what of its energy each one caused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Use:
    """Who kept a device busy in a time.

    Attributes:
        nodes_ns: How long each node did.
        busy_ns: How long it was busy, by whomever; NaN where nobody can tell.
        capacity_ns: How long it would have been, had it always been.
    """

    nodes_ns: Mapping[str, float]
    busy_ns: float
    capacity_ns: float

    def plus(self, later: Use) -> Use:
        """Return the use in both times together."""
        nodes_ns = dict(self.nodes_ns)
        for node, ns in later.nodes_ns.items():
            nodes_ns[node] = nodes_ns.get(node, 0.0) + ns
        return Use(nodes_ns, self.busy_ns + later.busy_ns, self.capacity_ns + later.capacity_ns)


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the energy of a window went.

    Attributes:
        idle_j: Into idle power.
        nodes_j: What each node caused.
        unattributed_j: What others caused, or nobody can say who.
    """

    idle_j: float
    nodes_j: Mapping[str, float]
    unattributed_j: float


def by_use(joules: float, idle_j: float, use: Use) -> Parts:
    """Share energy out by how long each one used the device.

    Active energy, what is above idle, goes to each in proportion to its part of the busy time. Where idle
    power is not known nothing is called idle, and each gets the energy of the time for which it was at work,
    as a part of all the time that the device has: less than it caused where power rises with work.

    Args:
        joules: Energy of the window.
        idle_j: What of it would have been used without work; NaN where that is not known.
        use: Of the device, in the same time.
    """
    known_ns = math.fsum(use.nodes_ns.values())
    capacity_ns = max(use.capacity_ns, known_ns)
    busy_ns = capacity_ns if math.isnan(use.busy_ns) else max(use.busy_ns, known_ns)
    if math.isnan(idle_j):
        idle_j, whole_ns = 0.0, max(capacity_ns, busy_ns)
    else:
        whole_ns = busy_ns
    idle_j = min(idle_j, joules)
    active_j = joules - idle_j
    if known_ns <= 0.0 or whole_ns <= 0.0:
        return Parts(idle_j, {}, active_j)
    nodes_j = {node: active_j * (ns / whole_ns) for node, ns in use.nodes_ns.items() if ns > 0.0}
    return Parts(idle_j, nodes_j, active_j * ((whole_ns - known_ns) / whole_ns))


def by_cost(joules: float, idle_j: float, caused_j: Mapping[str, float]) -> Parts:
    """Share energy out by what the results of each node cost, where the busy time says nothing.

    That is so for a whole board, a battery and memory.

    Args:
        joules: Energy of the window.
        idle_j: What of it would have been used without work; NaN where that is not known.
        caused_j: Results of each node in the same time, times their cost.
    """
    idle_j = 0.0 if math.isnan(idle_j) else min(idle_j, joules)
    active_j = joules - idle_j
    all_j = math.fsum(caused_j.values())
    if all_j <= 0.0:
        return Parts(idle_j, {}, active_j)
    scale = min(1.0, active_j / all_j)
    return Parts(idle_j, {node: scale * j for node, j in caused_j.items()}, active_j - scale * all_j)
