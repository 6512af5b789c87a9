# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of energy as plain dicts, for msgpack, JSON and the `energy` topic, and back.

Names are those of `energy.figures`. A number that is not known is null, as JSON has no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from math import isfinite
from operator import attrgetter
from typing import Any, TypeVar

from lowlat_nodes.energy.figures import (
    MAX_BUCKETS,
    MAX_METERS,
    MAX_NODES,
    Cost,
    Figures,
    MeterFigures,
    Missing,
    NodeFigures,
)
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.meter import Kind

T = TypeVar("T")

_MAX_TEXT = 1000
_MAX_COVERS = 16
_MAX_COSTS = MAX_BUCKETS * MAX_METERS
_U64 = 1 << 64
# One call for all fields: this is done each second, for each cost of each node.
_FIELDS_OF = {
    kind: attrgetter(*kind.__slots__) for kind in (Figures, MeterFigures, NodeFigures, Cost, Missing)
}


class UnreadableFigures(LowlatError):
    """What came is no figures of energy."""


def to_plain(figures: Figures) -> dict[str, Any]:
    """Return figures as dicts, lists, strings and finite numbers."""
    return {
        **_values(figures),
        "meters": [
            {**_values(meter), "covers": list(meter.covers), "kind": meter.kind.value}
            for meter in figures.meters
        ],
        "missing": [_values(missing) for missing in figures.missing],
        "nodes": [
            {
                **_values(node),
                "watts": {meter: _number(watts) for meter, watts in node.watts.items()},
                "joules": {meter: _number(joules) for meter, joules in node.joules.items()},
                "costs": [_values(cost) for cost in node.costs],
            }
            for node in figures.nodes
        ],
    }


def from_plain(plain: Any) -> Figures:
    """Return the figures of plain dicts; fields that are not known are passed over.

    Raises:
        UnreadableFigures: If a field is missing, of a wrong type, out of its range or too long.
    """
    fields = _Fields(plain, "figures")
    return Figures(
        host=fields.text("host"),
        time_ns=fields.count("time_ns"),
        steady_ns=fields.count("steady_ns"),
        period_s=fields.number("period_s"),
        meters=fields.each("meters", _meter, MAX_METERS),
        missing=fields.each("missing", _missing, MAX_METERS),
        nodes=fields.each("nodes", _node, MAX_NODES),
    )


def _values(of: Figures | MeterFigures | NodeFigures | Cost | Missing) -> dict[str, Any]:
    """Return the fields of one dataclass, a number that is not finite as None."""
    return {
        name: None if value.__class__ is float and not isfinite(value) else value
        for name, value in zip(of.__slots__, _FIELDS_OF[of.__class__](of), strict=True)
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


class _Fields:
    """The fields of one dict from outside."""

    def __init__(self, plain: Any, where: str) -> None:
        if not isinstance(plain, Mapping):
            raise UnreadableFigures(f"{where}: expected a map, got {type(plain).__name__}")
        self._plain = plain
        self._where = where

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            self._refuse(name, f"a text of at most {_MAX_TEXT} characters", value)
        return str(value)

    def count(self, name: str) -> int:
        value = self._get(name)
        if type(value) is not int or not 0 <= value < _U64:
            self._refuse(name, "a whole number from 0", value)
        return int(value)

    def number(self, name: str) -> float:
        return self._number(name, self._get(name))

    def numbers(self, name: str) -> dict[str, float]:
        value = self._get(name)
        if not isinstance(value, Mapping) or len(value) > MAX_METERS:
            self._refuse(name, f"a map of at most {MAX_METERS} numbers", value)
        for key in value:
            if not isinstance(key, str) or len(key) > _MAX_TEXT:
                self._refuse(name, f"names of at most {_MAX_TEXT} characters", key)
        return {key: self._number(name, each) for key, each in value.items()}

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        values = self._list(name, most)
        if not all(isinstance(value, str) and len(value) <= _MAX_TEXT for value in values):
            self._refuse(name, f"texts of at most {_MAX_TEXT} characters", values)
        return tuple(values)

    def each(self, name: str, make: Callable[[_Fields], T], most: int) -> tuple[T, ...]:
        values = self._list(name, most)
        return tuple(make(_Fields(value, f"{name}[{index}]")) for index, value in enumerate(values))

    def kind(self, name: str) -> Kind:
        value = self._get(name)
        if value not in [kind.value for kind in Kind]:
            self._refuse(name, "measured, modelled or unavailable", value)
        return Kind(value)

    def _get(self, name: str) -> Any:
        try:
            return self._plain[name]
        except KeyError:
            raise UnreadableFigures(f"{self._where}: expected the field {name!r}, it is missing") from None

    def _list(self, name: str, most: int) -> list[Any]:
        value = self._get(name)
        if not isinstance(value, (list, tuple)) or len(value) > most:
            self._refuse(name, f"a list of at most {most}", value)
        return list(value)

    def _number(self, name: str, value: Any) -> float:
        if value is None:
            return math.nan
        if type(value) not in (int, float) or not -1e30 < value < 1e30:
            self._refuse(name, "a finite number, or null where it is not known", value)
        return float(value)

    def _refuse(self, name: str, expected: str, value: Any) -> None:
        raise UnreadableFigures(f"{self._where}.{name}: expected {expected}, got {value!r:.60}")


def _meter(fields: _Fields) -> MeterFigures:
    return MeterFigures(
        name=fields.text("name"),
        device=fields.text("device"),
        covers=fields.texts("covers", _MAX_COVERS),
        part_of=fields.text("part_of"),
        fake=fields.text("fake"),
        kind=fields.kind("kind"),
        period_s=fields.number("period_s"),
        resolution_j=fields.number("resolution_j"),
        watts=fields.number("watts"),
        joules=fields.number("joules"),
        idle_w=fields.number("idle_w"),
        idle_j=fields.number("idle_j"),
        nodes_j=fields.number("nodes_j"),
        unattributed_j=fields.number("unattributed_j"),
        imbalance_j=fields.number("imbalance_j"),
        unmetered_s=fields.number("unmetered_s"),
        why=fields.text("why"),
    )


def _missing(fields: _Fields) -> Missing:
    return Missing(name=fields.text("name"), why=fields.text("why"))


def _node(fields: _Fields) -> NodeFigures:
    return NodeFigures(
        node=fields.text("node"),
        unit=fields.text("unit"),
        results=fields.count("results"),
        rate_hz=fields.number("rate_hz"),
        cpu_s=fields.number("cpu_s"),
        gpu_s=fields.number("gpu_s"),
        watts=fields.numbers("watts"),
        joules=fields.numbers("joules"),
        costs=fields.each("costs", _cost, _MAX_COSTS),
    )


def _cost(fields: _Fields) -> Cost:
    return Cost(
        meter=fields.text("meter"),
        bucket=fields.text("bucket"),
        joules=fields.number("joules"),
        error_j=fields.number("error_j"),
        method=fields.text("method"),
        why=fields.text("why"),
    )
