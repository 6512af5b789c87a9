# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The schema that a writer used, as a small tree of types (Avro 1.12 specification, "Schema Declaration")."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lowlat_nodes.stream.errors import LowlatError

MAX_BYTES = 1 << 20
"""A longer schema is refused; those of surveys have 30 kB."""

MAX_NESTING = 64
"""Types within types."""

_MAX_FIELDS = 100_000
"""Types that are looked at to find fields; those that are named again and again make many of a short text."""

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class BadSchema(LowlatError):
    """A schema is not valid Avro, is too large, or has other types than a projection reads."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of the eight types without parts; logical types are read as the type that they annotate."""

    name: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """So many bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Enumeration:
    """One of some symbols."""

    name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """Any number of items of one type."""

    items: Type


@dataclass(frozen=True, slots=True)
class Map:
    """Any number of values of one type, by name."""

    values: Type


@dataclass(frozen=True, slots=True)
class Union:
    """One of some types; a value says which."""

    branches: tuple[Type, ...]


@dataclass(slots=True, eq=False)
class Record:
    """Fields in the order in which they are written.

    Attributes:
        name: The full name.
        fields: Type by name.
        uses: In how many places the schema names this type, its definition included.
        recursive: Whether a value can hold another one of the same type.
        depth: How deep types lie within types in it.
    """

    name: str
    fields: dict[str, Type] = field(default_factory=dict)
    uses: int = 1
    recursive: bool = False
    depth: int = 1


Type: TypeAlias = Primitive | Fixed | Enumeration | Array | Map | Union | Record


def parse(text: bytes) -> Type:
    """Return the type that a schema declares.

    Args:
        text: JSON in UTF-8, of up to `MAX_BYTES`.

    Raises:
        BadSchema: This is no schema, or one that is too large.
    """
    if len(text) > MAX_BYTES:
        msg = f"a schema has {len(text)} bytes; up to {MAX_BYTES} are read"
        raise BadSchema(msg)
    try:
        declaration = json.loads(text)
        # JSON can escape half of a surrogate pair, which no UTF-8 can hold.
        json.dumps(declaration, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        msg = f"a schema must be JSON in UTF-8, which this is not: {error}"
        raise BadSchema(msg) from None
    return _Parser().parse(declaration)


def fields(schema: Type) -> frozenset[tuple[str, ...]]:
    """Return the paths of all fields, through records, unions and the items of arrays.

    A record within another one of the same type is not entered again.

    Raises:
        BadSchema: It has too many.
    """
    found: set[tuple[str, ...]] = set()
    left: list[tuple[Type, tuple[str, ...], tuple[Record, ...]]] = [(schema, (), ())]
    looked_at = 0
    while left:
        type_, path, outer = left.pop()
        if isinstance(type_, Union):
            left += [(branch, path, outer) for branch in type_.branches]
        elif isinstance(type_, Array):
            left.append((type_.items, path, outer))
        elif isinstance(type_, Record) and type_ not in outer:
            inner = [((*path, name), item) for name, item in type_.fields.items()]
            found.update(place for place, _ in inner)
            left += [(item, place, (*outer, type_)) for place, item in inner]
        looked_at += 1
        # Not the different paths: branches with equal ones double the work with each level.
        if looked_at + len(left) > _MAX_FIELDS:
            msg = f"a schema has more than {_MAX_FIELDS} fields, with the branches of unions"
            raise BadSchema(msg)
    return frozenset(found)


class _Parser:
    """Parses one schema; knows the types that it has named so far."""

    def __init__(self) -> None:
        self._named: dict[str, Fixed | Enumeration | Record] = {}
        self._open: list[Record] = []
        self._depth = 0

    def parse(self, declaration: Any, namespace: str = "") -> Type:
        if self._depth > MAX_NESTING:
            raise BadSchema(_TOO_DEEP)
        self._depth += 1
        try:
            if isinstance(declaration, str):
                return self._reference(declaration, namespace)
            if isinstance(declaration, list):
                return self._union(declaration, namespace)
            if isinstance(declaration, dict):
                return self._declared(declaration, namespace)
        finally:
            self._depth -= 1
        msg = f"a type must be a name, a list or an object, not {_short(declaration)}"
        raise BadSchema(msg)

    def _reference(self, name: str, namespace: str) -> Type:
        if name in PRIMITIVES:
            return Primitive(name)
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        # A name that its namespace has not may be one without a namespace, as writers in use have it.
        known = self._named.get(full) or self._named.get(name)
        if known is None:
            msg = f"a schema uses the type {_short(name)} before it declares it"
            raise BadSchema(msg)
        if isinstance(known, Record):
            known.uses += 1
            if known in self._open:
                for record in self._open[self._open.index(known) :]:
                    record.recursive = True
        return known

    def _union(self, declaration: list[Any], namespace: str) -> Union:
        branches = tuple(self.parse(branch, namespace) for branch in declaration)
        if not branches or any(isinstance(branch, Union) for branch in branches):
            msg = f"a union must have branches, none of them a union: {_short(declaration)}"
            raise BadSchema(msg)
        return Union(branches)

    def _declared(self, declaration: dict[str, Any], namespace: str) -> Type:
        kind = declaration.get("type")
        if kind == "array":
            return Array(self.parse(declaration.get("items"), namespace))
        if kind == "map":
            return Map(self.parse(declaration.get("values"), namespace))
        if kind in ("record", "error"):  # no set: what came need not be hashable
            return self._record(declaration, namespace)
        if kind == "enum":
            return self._enumeration(declaration, namespace)
        if kind == "fixed":
            return self._fixed(declaration, namespace)
        return self.parse(kind, namespace)

    def _record(self, declaration: dict[str, Any], namespace: str) -> Record:
        name, inner = self._name(declaration, namespace)
        record = Record(name)
        self._named[name] = record
        self._open.append(record)
        listed = declaration.get("fields")
        if not isinstance(listed, list):
            msg = f"the record {_short(name)} must have a list of fields"
            raise BadSchema(msg)
        for item in listed:
            key = item.get("name") if isinstance(item, dict) else None
            if not isinstance(key, str) or not key or key in record.fields:
                msg = (
                    f"each field of the record {_short(name)} must have a name of its own, not {_short(item)}"
                )
                raise BadSchema(msg)
            type_ = self.parse(item.get("type"), inner)
            record.fields[key] = type_
            record.depth = max(record.depth, 1 + _depth(type_))
        if record.depth > MAX_NESTING:
            raise BadSchema(_TOO_DEEP)
        self._open.pop()
        return record

    def _enumeration(self, declaration: dict[str, Any], namespace: str) -> Enumeration:
        name, _ = self._name(declaration, namespace)
        symbols = declaration.get("symbols")
        texts = isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)
        if not symbols or not texts or len(set(symbols)) < len(symbols):
            msg = f"the enumeration {_short(name)} must have symbols, each one once: {_short(symbols)}"
            raise BadSchema(msg)
        self._named[name] = known = Enumeration(name, tuple(symbols))
        return known

    def _fixed(self, declaration: dict[str, Any], namespace: str) -> Fixed:
        name, _ = self._name(declaration, namespace)
        size = declaration.get("size")
        if type(size) is not int or not 0 <= size < 1 << 31:
            msg = f"the type {_short(name)} must have a size from 0 to 2^31 - 1, not {_short(size)}"
            raise BadSchema(msg)
        self._named[name] = known = Fixed(name, size)
        return known

    def _name(self, declaration: dict[str, Any], namespace: str) -> tuple[str, str]:
        """Return the full name of a type and the namespace of what is declared in it."""
        name, own = declaration.get("name"), declaration.get("namespace", namespace)
        if not isinstance(name, str) or not name or not isinstance(own, str):
            msg = f"a record, enumeration or fixed type must have a name: {_short(declaration)}"
            raise BadSchema(msg)
        full = name if "." in name or not own else f"{own}.{name}"
        if full in PRIMITIVES or full in self._named:
            msg = f"a schema declares the type {_short(full)} twice"
            raise BadSchema(msg)
        return full, full.rpartition(".")[0]


_TOO_DEEP = f"a schema has types within types over {MAX_NESTING} deep"


def _depth(schema: Type) -> int:
    """Return how deep types lie within types; a record that is not complete yet counts as far as it is."""
    if isinstance(schema, Record):
        return schema.depth
    if isinstance(schema, Array):
        return 1 + _depth(schema.items)
    if isinstance(schema, Map):
        return 1 + _depth(schema.values)
    if isinstance(schema, Union):
        return 1 + max(map(_depth, schema.branches))
    return 0


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
