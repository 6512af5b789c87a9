# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of `lowlat energy show`: where the power of each meter goes, and what a result costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lowlat_nodes.cli.printable import printable
from lowlat_nodes.energy.figures import Cost, Figures, MeterFigures, NodeFigures
from lowlat_nodes.stream.meter import Kind

_GAP = "  "
_METERS = ("meter", "of", "kind", "W", "idle", "nodes", "unattributed", "kJ")
_METER_TEXTS = 3
_NODES = ("node", "Hz", "meter", "W", "J per", "J", "+-", "by")
_NODE_TEXTS = (0, 2, 4, 7)


@dataclass(frozen=True, slots=True)
class Split:
    """Where the power of a meter went in the last window, W; NaN for what is not known.

    Attributes:
        idle_w: Power without work.
        nodes_w: What the nodes caused, all together.
        unattributed_w: The rest: other processes, and what nobody can be charged for; idle power too, where
            that is not known.
    """

    idle_w: float
    nodes_w: float
    unattributed_w: float


def split(figures: Figures, meter: MeterFigures) -> Split:
    """Return where the power of a meter went."""
    nodes_w = math.fsum(node.watts.get(meter.name, 0.0) for node in figures.nodes)
    # A window without work may lie below the power that is idle on average.
    idle_w = min(meter.idle_w, meter.watts) if not math.isnan(meter.idle_w) else math.nan
    known_w = nodes_w if math.isnan(idle_w) else idle_w + nodes_w
    return Split(idle_w, nodes_w, max(0.0, meter.watts - known_w))


def tables(figures: Figures, width: int) -> list[str]:
    """Lay out all figures of a host as lines of at most `width` characters."""
    lines = [_title(figures), ""]
    lines += _meters(figures) or [_no_meter(figures)]
    lines += ["", *(_nodes(figures) or [_NO_NODE])]
    doubts = _doubts(figures)
    if doubts:
        lines += ["", *doubts]
    if figures.meters and figures.missing:
        names = printable(", ".join(each.name for each in figures.missing))
        lines += ["", f"cannot be read here: {names}; --why says why"]
    return [line[:width].rstrip() for line in lines]


def reasons(figures: Figures) -> list[str]:
    """Return a line for each meter that cannot be read, with the remedy."""
    absent = [f"{printable(each.name)}: {printable(each.why)}" for each in figures.missing]
    silent = [f"{printable(each.name)}: {printable(each.why)}" for each in figures.meters if each.why]
    return silent + absent


_NO_NODE = (
    "no node counts its results here; start one, such as `lowlat up detector_demo.yaml` (energy.enabled "
    "is on unless told otherwise), or count your own with lowlat_nodes.energy.tally.Tally"
)


def _title(figures: Figures) -> str:
    fakes = sorted({meter.fake for meter in figures.meters if meter.fake})
    fake = f"{_GAP}FAKE METERS: {printable(', '.join(fakes))}" if fakes else ""
    return f"energy of {printable(figures.host)}{fake}"


def _no_meter(figures: Figures) -> str:
    names = printable(", ".join(each.name for each in figures.missing)) or "none"
    return f"no meter counts here; looked for: {names}; --why says what is missing and the remedy"


def _meters(figures: Figures) -> list[str]:
    rows = [_METERS, *(_meter_row(figures, meter) for meter in figures.meters)]
    return _aligned(rows, set(range(_METER_TEXTS))) if figures.meters else []


def _meter_row(figures: Figures, meter: MeterFigures) -> tuple[str, ...]:
    kind = f"{meter.kind.value}, FAKE" if meter.fake else meter.kind.value
    if meter.kind is Kind.UNAVAILABLE:
        return (printable(meter.name), printable(meter.device), kind, *"----", _figure(1e-3 * meter.joules))
    parts = split(figures, meter)
    watts = (meter.watts, parts.idle_w, parts.nodes_w, parts.unattributed_w, 1e-3 * meter.joules)
    name = f"{meter.name} (in {meter.part_of})" if meter.part_of else meter.name
    return (printable(name), printable(meter.device), kind, *map(_figure, watts))


def _nodes(figures: Figures) -> list[str]:
    rows = [_NODES, *(row for node in figures.nodes for row in _node_rows(node))]
    return _aligned(rows, set(_NODE_TEXTS)) if figures.nodes else []


def _node_rows(node: NodeFigures) -> list[tuple[str, ...]]:
    """Return a row for each meter and bucket; one row where no meter tells anything."""
    unit = printable(node.unit)
    found: list[tuple[str, ...]] = []
    for cost in node.costs:
        per = f"{unit} {printable(cost.bucket)}" if cost.bucket else unit
        error = _figure(cost.error_j) if cost.method == "regression" else "-"
        watts = _figure(node.watts.get(cost.meter, math.nan))
        doubt = " ?" if cost.why else ""
        found.append((printable(cost.meter), watts, per, _figure(cost.joules), error, cost.method + doubt))
    costed = {cost.meter for cost in node.costs}
    found += [
        (printable(meter), _figure(watts), unit, "-", "-", "")
        for meter, watts in node.watts.items()
        if meter not in costed
    ]
    found = found or [("no meter", "-", unit, "-", "-", "")]
    heads = [(printable(node.node), _figure(node.rate_hz)), *[("", "")] * (len(found) - 1)]
    return [(*head, *row) for head, row in zip(heads, found, strict=True)]


def _doubts(figures: Figures) -> list[str]:
    """Return what makes costs doubtful, each reason once."""
    seen: dict[str, list[str]] = {}
    for node in figures.nodes:
        for cost in node.costs:
            if cost.why:
                seen.setdefault(cost.why, []).append(_of(node, cost))
    return [f"? {', '.join(dict.fromkeys(names))}: {printable(why)}" for why, names in seen.items()]


def _of(node: NodeFigures, cost: Cost) -> str:
    return printable(f"{node.node} {cost.bucket}".strip())


def _aligned(rows: Sequence[Sequence[str]], texts: set[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(
            cell.ljust(width) if column in texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _figure(value: float) -> str:
    """Return three digits of a number, `-` for what is not known."""
    if math.isnan(value):
        return "-"
    if value == 0.0 or 1e-3 <= abs(value) < 1e3:
        digits = 2 if value == 0.0 else max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    return f"{value:.3g}"
