# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the sampler of a host publishes once a second: who used how much, and what a result costs."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.stream.meter import Kind

MAX_NODES, MAX_METERS, MAX_BUCKETS = 256, 64, 32
"""Bounds of one set of figures, for whoever decodes one."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Energy of one result of a node, by one meter.

    Attributes:
        meter: Name of the meter.
        bucket: Shape bucket of the results, such as `640x640`; empty where the node has one.
        joules: Energy of one result.
        error_j: Its standard error; 0 for a share, which has none.
        method: `regression` over windows; or `share`, the node's part of the active energy by its use of
            the device, over its results, where rates vary too little for a regression.
        why: What makes it doubtful, such as rates that do not vary; empty for nothing.
    """

    meter: str
    bucket: str
    joules: float
    error_j: float
    method: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What one node used.

    Attributes:
        node: Full name of the node, as its heartbeats and diagnostics have it.
        unit: What it makes: `chunk`, `detection`, `alert`, or `result`.
        results: How many, since the sampler first saw it.
        rate_hz: Results a second, in the last window.
        cpu_s: CPU time since the sampler first saw it, of all its processes.
        gpu_s: Time on GPUs, where that is known; NaN where it is not.
        watts: Meter: power by share, in the last window.
        joules: Meter: energy by share, since the sampler first saw the node.
        costs: Energy of a result.
    """

    node: str
    unit: str
    results: int
    rate_hz: float
    cpu_s: float
    gpu_s: float
    watts: dict[str, float]
    joules: dict[str, float]
    costs: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class MeterFigures:
    """Where the energy of one meter went, since the sampler started.

    Conservation: `idle_j + nodes_j + unattributed_j` equals `joules` but for `imbalance_j`.

    Attributes:
        name: Of the meter; with `device`, `covers`, `part_of` and `fake` as in `stream.meter.Meter`.
        kind: How it is known.
        period_s: Time between two changes of the counter.
        resolution_j: Smallest step of the counter.
        watts: Power in the last window; NaN where it is not known.
        joules: What the counter counted.
        idle_w: Power without work, as far as known; NaN where it is not.
        idle_j: What went into that.
        nodes_j: What the nodes caused, all together.
        unattributed_j: What other processes caused, or nobody can say who.
        imbalance_j: What the parts lack; anything but rounding is an error of the sampler.
        unmetered_s: How long the meter was away since the start; what was used then is in none of the above.
        why: Why it is unavailable; what a model takes for granted; empty for a measurement.
    """

    name: str
    device: str
    covers: tuple[str, ...]
    part_of: str
    fake: str
    kind: Kind
    period_s: float
    resolution_j: float
    watts: float
    joules: float
    idle_w: float
    idle_j: float
    nodes_j: float
    unattributed_j: float
    imbalance_j: float
    unmetered_s: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A meter that this host could have, and that nobody can read.

    Attributes:
        name: Of the meter, or of the kind of meter.
        why: What is wrong, and the remedy.
    """

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All of a host.

    Attributes:
        host: Its name.
        time_ns: When they were made, Unix time.
        steady_ns: The same on the steady clock of the host.
        period_s: When the next are due.
        meters: What is read.
        missing: What is not.
        nodes: Who works.
    """

    host: str
    time_ns: int
    steady_ns: int
    period_s: float
    meters: tuple[MeterFigures, ...]
    missing: tuple[Missing, ...]
    nodes: tuple[NodeFigures, ...]

    def node(self, name: str) -> NodeFigures | None:
        """Return the figures of one node."""
        return next((each for each in self.nodes if each.node == name), None)

    def meter(self, name: str) -> MeterFigures | None:
        """Return the figures of one meter."""
        return next((each for each in self.meters if each.name == name), None)
