# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of energy as diagnostics: what a node used by a meter, and where the energy of a meter went."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lowlat_nodes.energy.figures import Figures, MeterFigures, NodeFigures
from lowlat_nodes.energy.headline import cost_of, headline
from lowlat_nodes.nodes.diagnostics import Level, Report
from lowlat_nodes.stream.meter import Kind

_ROUNDING = 1e-6  # of what a meter counted: parts that lack more than this do not add up

Values = dict[str, str | int | float]


def host_reports(figures: Figures) -> Iterator[tuple[str, Report]]:
    """Yield a task and its report for each meter, for each node, and one for what is missing."""
    for meter in figures.meters:
        yield meter.name, meter_report(meter)
    for node in figures.nodes:
        yield node.node, node_report(figures, node)
    if figures.missing:
        missing: Values = {each.name: each.why for each in figures.missing}
        yield "missing", Report(Level.OK, f"not read: {', '.join(missing)}", missing)


def meter_report(meter: MeterFigures) -> Report:
    """Return where the energy of a meter went; values are named as in `energy.figures.MeterFigures`.

    It is an error where the parts do not add up to what the meter counted, and stale while it is away.
    """
    values: Values = {
        "kind": meter.kind.value,
        "device": meter.device,
        "covers": " ".join(meter.covers),
        "part_of": meter.part_of,
        "fake": meter.fake,
        "watts": meter.watts,
        "joules": _counted(meter.joules),
        "idle_w": meter.idle_w,
        "idle_j": _counted(meter.idle_j),
        "nodes_j": _counted(meter.nodes_j),
        "unattributed_j": _counted(meter.unattributed_j),
        "imbalance_j": meter.imbalance_j,
        "unmetered_s": meter.unmetered_s,
        "period_s": meter.period_s,
        "resolution_j": meter.resolution_j,
        "why": meter.why,
    }
    if abs(meter.imbalance_j) > _ROUNDING * max(1.0, meter.joules):
        return Report(
            Level.ERROR, f"its parts lack {meter.imbalance_j:.3g} J of {meter.joules:.3g} J", values
        )
    if meter.kind is Kind.UNAVAILABLE:
        return Report(Level.STALE, f"unavailable: {meter.why}", values)
    return Report(Level.OK, _marked(f"{meter.kind.value} {_watts(meter.watts)}", meter.fake), values)


def node_report(figures: Figures, node: NodeFigures) -> Report:
    """Return what a node used by the meters of its headline, and by each meter.

    =========================================== ===========================================================
    kind, meters, watts, joules,                as of `energy.headline.Headline`
    joules_per_result, error, method, fake, why
    unit, results, rate_hz, cpu_s, gpu_s        as of `energy.figures.NodeFigures`
    watts.<meter>, joules.<meter>,              by one meter
    joules_per_result.<meter>
    =========================================== ===========================================================
    """
    found = headline(figures, node.node)
    values: Values = {
        "kind": found.kind.value,
        "unit": node.unit,
        "results": node.results,
        "rate_hz": node.rate_hz,
        "watts": found.watts,
        "joules": _counted(found.joules),
        "joules_per_result": found.joules_per_result,
        "error": found.error_j,
        "method": found.method,
        "meters": " ".join(found.meters),
        "fake": found.fake,
        "why": found.why,
        "cpu_s": node.cpu_s,
        "gpu_s": node.gpu_s,
    }
    for meter in figures.meters:
        cost = cost_of(node, meter.name)
        if meter.name in node.joules:
            values[f"watts.{meter.name}"] = node.watts.get(meter.name, math.nan)
            values[f"joules.{meter.name}"] = _counted(node.joules[meter.name])
        if cost is not None:
            values[f"joules_per_result.{meter.name}"] = cost.joules
    if found.kind is Kind.UNAVAILABLE:
        return Report(Level.OK, found.why, values)
    return Report(
        Level.OK, _summary(found.kind, found.watts, found.joules_per_result, node, found.fake), values
    )


def own_report(node: NodeFigures, meter: MeterFigures) -> Report:
    """Return what one node used, by one meter.

    =============================== ======================================================================
    meter, device                   which meter
    kind                            measured, modelled or unavailable
    unit, results, rate_hz          what the node makes, how many since it was seen, how many a second
    watts                           its power in the last window
    joules                          its energy since it was seen
    joules_per_result, error        energy of a result and its standard error, J
    method                          regression or share
    fake                            what stands behind the meter where that is no hardware
    why                             what makes it doubtful
    joules_per_result.<bucket>,     the same of results of one shape
    error.<bucket>
    =============================== ======================================================================
    """
    cost = cost_of(node, meter.name)
    joules_per_result = math.nan if cost is None else cost.joules
    watts = node.watts.get(meter.name, math.nan)
    values: Values = {
        "meter": meter.name,
        "device": meter.device,
        "kind": meter.kind.value,
        "unit": node.unit,
        "results": node.results,
        "rate_hz": node.rate_hz,
        "watts": watts,
        "joules": _counted(node.joules.get(meter.name, math.nan)),
        "joules_per_result": joules_per_result,
        "error": math.nan if cost is None else cost.error_j,
        "method": "" if cost is None else cost.method,
        "fake": meter.fake,
        "why": meter.why or ("" if cost is None else cost.why),
    }
    for each in node.costs:
        if each.meter == meter.name and each.bucket:
            values[f"joules_per_result.{each.bucket}"] = each.joules
            values[f"error.{each.bucket}"] = each.error_j
    if meter.kind is Kind.UNAVAILABLE:
        return Report(Level.STALE, f"unavailable: {meter.why}", values)
    return Report(Level.OK, _summary(meter.kind, watts, joules_per_result, node, meter.fake), values)


def _summary(kind: Kind, watts: float, joules_per_result: float, node: NodeFigures, fake: str) -> str:
    words = f"{kind.value} {_watts(watts)}"
    if math.isfinite(joules_per_result):
        words += f", {joules_per_result:.3g} J per {node.unit}"
    return _marked(words, fake)


def _counted(joules: float) -> str:
    """Return what a counter says with all of its digits: its differences are what people look for."""
    return f"{joules:.12g}"


def _watts(watts: float) -> str:
    return f"{watts:.3g} W" if math.isfinite(watts) else "of unknown power"


def _marked(words: str, fake: str) -> str:
    return f"{words} (fake: {fake})" if fake else words
