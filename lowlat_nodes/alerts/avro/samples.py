# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the reader is tested with: random schemas, random records, and projections of all that is in them."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

from lowlat_nodes.alerts.avro.schema import Array, Enumeration, Fixed, Map, Primitive, Record, Type, Union
from lowlat_nodes.alerts.projection import Column, Projection, Table

MAX_DEPTH = 4
"""Of the types in a schema."""

MAX_VALUE_DEPTH = 12
"""From here on, values of recursive types are null and arrays empty."""

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")

LOGICAL: tuple[dict[str, Any], ...] = (
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "string", "logicalType": "uuid"},
)

TAKEN_BY = {
    "boolean": ("f8", "i8"),
    "int": ("f8", "i8"),
    "long": ("f8", "i8"),
    "float": ("f8",),
    "double": ("f8",),
}
"""Columns that take a number."""

TEXTS = ("", "g", "r", "ZTF", "µ", "日本", "🔭", "a\0b")


def random_schema(random: Random) -> dict[str, Any]:
    """Return the schema of a record, with types of every kind."""
    return _Schemas(random).record(0, "")


def random_record(random: Random, schema: Type) -> bytes:
    """Return a record of a schema: any values, in any of the forms in which Avro lets them be written."""
    return _Values(random).value(schema, 0)


def project_all(schema: Type, text_bytes: int = 256) -> Projection:
    """Return a projection to every value that a column can take, within arrays and outside.

    Args:
        schema: The writer's.
        text_bytes: The longest text.
    """
    scalars: dict[str, Column] = {}
    arrays: dict[tuple[str, ...], dict[str, Column]] = {}
    _project(schema, (), f"S{text_bytes}", scalars, arrays, ())
    return Projection(scalars, {".".join(path): Table(path, columns) for path, columns in arrays.items()})


def _project(
    schema: Type,
    path: tuple[str, ...],
    text: str,
    columns: dict[str, Column],
    arrays: dict[tuple[str, ...], dict[str, Column]] | None,
    outer: tuple[Type, ...],
) -> None:
    """Collect the columns below a type and, outside of arrays, the arrays."""
    if isinstance(schema, Union):
        for branch in schema.branches:
            _project(branch, path, text, columns, arrays, outer)
    elif isinstance(schema, Array):
        if arrays is not None:
            _project(schema.items, (), text, arrays.setdefault(path, {}), None, outer)
    elif isinstance(schema, Record):
        for name, type_ in schema.fields.items() if schema not in outer else ():
            _project(type_, (*path, name), text, columns, arrays, (*outer, schema))
    else:
        kind = schema.name if isinstance(schema, Primitive) else type(schema).__name__.lower()
        for dtype in TAKEN_BY.get(kind, (text,) if kind in {"string", "enumeration"} else ()):
            columns[f"{'.'.join(path)}:{dtype}"] = Column(path, dtype)


class _Schemas:
    """Makes one schema; knows the named types that it has declared."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._count = 0
        self._declared: list[str] = []
        self._open: list[str] = []

    def record(self, depth: int, namespace: str) -> dict[str, Any]:
        declaration, full, inner = self._name("r", namespace)
        self._open.append(full)
        count = self._random.choice((0, 1, 2, 3, 5, 12)) if depth else self._random.randint(1, 8)
        fields = [{"name": f"f{i}", "type": self._type(depth + 1, inner)} for i in range(count)]
        self._open.pop()
        self._declared.append(full)
        return {**declaration, "type": "record", "fields": fields}

    def _name(self, prefix: str, namespace: str) -> tuple[dict[str, Any], str, str]:
        """Return the name as declared, in full, and the namespace within."""
        self._count += 1
        name = f"{prefix}{self._count}"
        if not namespace or self._random.random() < 0.2:
            namespace = self._random.choice(("sky", "sky.survey"))
            if self._random.random() < 0.5:
                return {"name": f"{namespace}.{name}"}, f"{namespace}.{name}", namespace
            return {"name": name, "namespace": namespace}, f"{namespace}.{name}", namespace
        return {"name": name}, f"{namespace}.{name}", namespace

    def _type(self, depth: int, namespace: str) -> Any:
        random = self._random
        kinds = ["primitive"] * 4 + ["nullable"] * 6 + ["logical", "enum", "fixed"]
        if self._declared:
            kinds += ["reference"]
        if depth < MAX_DEPTH:
            kinds += ["record", "record", "array", "array", "map", "union", "recursive"]
        kind = random.choice(kinds)
        if kind == "primitive":
            return random.choice(PRIMITIVES)
        if kind == "logical":
            return random.choice(LOGICAL)
        if kind == "reference":
            return random.choice(self._declared)
        if kind == "nullable":
            return self._nullable(random.choice([*PRIMITIVES[1:], *LOGICAL]))
        return getattr(self, f"_{kind}")(depth, namespace)

    def _nullable(self, declaration: Any) -> list[Any]:
        return ["null", declaration] if self._random.random() < 0.5 else [declaration, "null"]

    def _record(self, depth: int, namespace: str) -> Any:
        record = self.record(depth, namespace)
        return self._nullable(record) if self._random.random() < 0.3 else record

    def _array(self, depth: int, namespace: str) -> Any:
        items = (
            self.record(depth + 1, namespace)
            if self._random.random() < 0.6
            else self._type(depth + 1, namespace)
        )
        if self._random.random() < 0.3 and not isinstance(items, list):
            items = self._nullable(items)
        array = {"type": "array", "items": items}
        return self._nullable(array) if self._random.random() < 0.4 else array

    def _map(self, depth: int, namespace: str) -> Any:
        return {"type": "map", "values": self._type(depth + 1, namespace)}

    def _enum(self, _: int, namespace: str) -> Any:
        declaration, full, _inner = self._name("e", namespace)
        self._declared.append(full)
        return {
            **declaration,
            "type": "enum",
            "symbols": ["g", "r", "i", "ztf_g"][: self._random.randint(1, 4)],
        }

    def _fixed(self, _: int, namespace: str) -> Any:
        declaration, full, _inner = self._name("x", namespace)
        self._declared.append(full)
        return {**declaration, "type": "fixed", "size": self._random.choice((0, 1, 7, 16))}

    def _union(self, depth: int, namespace: str) -> Any:
        random = self._random
        kinds: list[str] = random.sample([*PRIMITIVES, "array", "map"], random.randint(1, 5))
        kinds += ["record"] * random.randint(0, 2)
        random.shuffle(kinds)
        return [kind if kind in PRIMITIVES else self._branch(kind, depth, namespace) for kind in kinds]

    def _branch(self, kind: str, depth: int, namespace: str) -> Any:
        """Return a type that is no union itself."""
        if kind == "record":
            return self.record(depth + 1, namespace)
        inner = self._type(depth + 1, namespace)
        return {"type": "array", "items": inner} if kind == "array" else {"type": "map", "values": inner}

    def _recursive(self, depth: int, namespace: str) -> Any:
        if not self._open:
            return self._type(depth, namespace)
        name = self._random.choice(self._open)
        form = self._random.randrange(3)
        return (["null", name], {"type": "array", "items": name}, {"type": "map", "values": [name, "null"]})[
            form
        ]


class _Values:
    """Writes values."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def value(self, schema: Type, depth: int) -> bytes:
        random = self._random
        if isinstance(schema, Primitive):
            return self._primitive(schema.name)
        if isinstance(schema, Fixed):
            return random.randbytes(schema.size)
        if isinstance(schema, Enumeration):
            return self._long(random.randrange(len(schema.symbols)))
        if isinstance(schema, Record):
            return b"".join(self.value(type_, depth + 1) for type_ in schema.fields.values())
        if isinstance(schema, Union):
            branch = self._branch(schema, depth)
            return self._long(branch) + self.value(schema.branches[branch], depth + 1)
        return self._items(schema, depth)

    def _branch(self, schema: Union, depth: int) -> int:
        null = Primitive("null")
        if depth > MAX_VALUE_DEPTH and null in schema.branches:
            return schema.branches.index(null)
        return self._random.randrange(len(schema.branches))

    def _items(self, schema: Array | Map, depth: int) -> bytes:
        """Write items in blocks, some of which say how many bytes they have."""
        random, blocks = self._random, []
        count = 0 if depth > MAX_VALUE_DEPTH else random.choice((0, 0, 1, 2, 3, 20 if depth < 3 else 1))
        while count:
            size = random.randint(1, count)
            count -= size
            block = b"".join(self._item(schema, depth) for _ in range(size))
            by_size = random.random() < 0.3
            blocks.append(
                (self._long(-size) + self._long(len(block)) if by_size else self._long(size)) + block
            )
        return b"".join(blocks) + self._long(0)

    def _item(self, schema: Array | Map, depth: int) -> bytes:
        if isinstance(schema, Array):
            return self.value(schema.items, depth + 1)
        return self._text() + self.value(schema.values, depth + 1)

    def _primitive(self, name: str) -> bytes:
        random = self._random
        if name == "null":
            return b""
        if name == "boolean":
            return random.choice((b"\0", b"\1"))
        if name in {"int", "long"}:
            bits = 31 if name == "int" else 63
            wide = random.choice((1, 6, 7, 13, 20, bits))
            return self._long(random.randint(-(1 << wide), (1 << wide) - 1))
        if name in {"float", "double"}:
            value = random.choice((0.0, -1.5, random.gauss(0.0, 1e3), float("inf"), float("nan")))
            return struct.pack("<f" if name == "float" else "<d", value)
        if name == "string":
            return self._text()
        data = random.randbytes(random.choice((0, 1, 5, 200)))
        return self._long(len(data)) + data

    def _text(self) -> bytes:
        text = self._random.choice(TEXTS).encode()
        return self._long(len(text)) + text

    def _long(self, value: int) -> bytes:
        """Write an integer, now and then in more bytes than it needs."""
        bits = (value << 1) ^ (value >> 63)
        spare = self._random.randint(1, 3) if self._random.random() < 0.02 else 0
        out = bytearray()
        while bits > 0x7F or (spare and len(out) < 9):
            spare -= bits <= 0x7F
            out.append((bits & 0x7F) | 0x80)
            bits >>= 7
        out.append(bits)
        return bytes(out)
