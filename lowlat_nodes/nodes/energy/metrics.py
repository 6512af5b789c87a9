# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an energy sampler for Prometheus.

What is measured and what is modelled has names of its own, so that no query adds the two by mistake. A query
that adds meters takes those alone which no other one includes, and no fakes: `part_of="", fake=""`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from lowlat_nodes.energy.figures import MAX_METERS, MAX_NODES, Figures, MeterFigures
from lowlat_nodes.nodes.metrics import Metric
from lowlat_nodes.stream.meter import Kind

_MOST = MAX_NODES * MAX_METERS
_METER = ("meter", "device", "part_of", "fake")

Values = dict[tuple[str, ...], float]


def energy_metrics(figures: Figures | None) -> Iterator[Metric]:
    """Yield the figures of a host; of one that nobody samples, only that.

    Args:
        figures: The newest.
    """
    yield Metric("lowlat_energy_sampled", "Whether somebody samples this host.", float(figures is not None))
    if figures is None:
        return
    available: Values = {_names(meter): float(meter.kind is not Kind.UNAVAILABLE) for meter in figures.meters}
    yield Metric("lowlat_energy_meter_available", "Whether a meter can be read.", available, _METER, _MOST)
    unmetered: Values = {_names(meter): meter.unmetered_s for meter in figures.meters}
    yield Metric(
        "lowlat_energy_unmetered_seconds_total", "How long it could not be.", unmetered, _METER, _MOST
    )
    imbalance: Values = {_names(meter): meter.imbalance_j for meter in figures.meters}
    yield Metric(
        "lowlat_energy_imbalance_joules", "What the parts of its energy lack.", imbalance, _METER, _MOST
    )
    for kind in (Kind.MEASURED, Kind.MODELLED):
        yield from _of_kind(figures, kind)
    results: Values = {(node.node, node.unit): node.results for node in figures.nodes}
    yield Metric("lowlat_energy_results_total", "Results of a node.", results, ("node", "unit"), _MOST)


def _of_kind(figures: Figures, kind: Kind) -> Iterator[Metric]:
    """Yield what is known in one way, of the meters that can be read."""
    meters = {meter.name: meter for meter in figures.meters if meter.kind is kind}
    start = f"lowlat_energy_{kind.value}"
    joules: Values = {}
    watts: Values = {}
    for meter in meters.values():
        parts = {"idle": meter.idle_j, "nodes": meter.nodes_j, "unattributed": meter.unattributed_j}
        joules |= {(*_names(meter), part): part_j for part, part_j in parts.items()}
        if math.isfinite(meter.watts):
            watts[_names(meter)] = meter.watts
    yield Metric(f"{start}_joules_total", "Energy by where it went.", joules, (*_METER, "to"), _MOST)
    yield Metric(f"{start}_watts", "Power in the last window.", watts, _METER, _MOST)
    used: Values = {}
    power: Values = {}
    costs: Values = {}
    errors: Values = {}
    for node in figures.nodes:
        for name, meter in meters.items():
            if name in node.joules:
                used[node.node, name, meter.fake] = node.joules[name]
            if name in node.watts:
                power[node.node, name, meter.fake] = node.watts[name]
        for cost in node.costs:
            if cost.meter in meters:
                key = (node.node, cost.meter, meters[cost.meter].fake, cost.bucket, cost.method)
                costs[key], errors[key] = cost.joules, cost.error_j
    by_node = ("node", "meter", "fake")
    by_bucket = (*by_node, "bucket", "method")
    yield Metric(f"{start}_node_joules_total", "Energy that a node caused.", used, by_node, _MOST)
    yield Metric(f"{start}_node_watts", "Power of a node in the last window.", power, by_node, _MOST)
    yield Metric(f"{start}_result_joules", "Energy of one result.", costs, by_bucket, _MOST)
    yield Metric(f"{start}_result_error_joules", "Its standard error.", errors, by_bucket, _MOST)


def _names(meter: MeterFigures) -> tuple[str, str, str, str]:
    return meter.name, meter.device, meter.part_of, meter.fake
