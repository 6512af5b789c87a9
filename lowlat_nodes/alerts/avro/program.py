# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A schema and a projection, compiled to a flat program that reads or skips what a record holds.

The program is a list of int32: an operation and its operands, one operation after another. Code for a type of
fixed width, for nullable values one after another and for strings is merged, so that a table with a hundred
columns costs a handful of operations a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from lowlat_nodes.alerts.avro.schema import (
    Array,
    BadSchema,
    Enumeration,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
)
from lowlat_nodes.alerts.projection import Column, Projection

MAX_WORDS = 1 << 20
"""A longer program is refused."""

MAX_WIDTH = (1 << 31) - 1
"""No body is longer, so what is this wide can be neither read nor skipped."""


class Operation(IntEnum):
    """What the machine does, with its operands; a target is a position in the program."""

    END = 0
    """The record is complete."""
    SKIP = 1
    """width: so many bytes."""
    VARINTS = 2
    """count: so many integers."""
    TEXTS = 3
    """count: so many strings or byte strings."""
    NULLABLES = 4
    """index of null (0 or 1), most bytes that follow, count, count x (width, or -1 for an integer)."""
    NULLABLE_TEXT = 5
    """index of null."""
    UNION = 6
    """count, count x target."""
    JUMP = 7
    """target."""
    CALL = 8
    """target."""
    RETURN = 9
    ITEMS = 10
    """width: an array of items of that width."""
    LOOP = 11
    """whether a block may be skipped by its size, least bytes of an item (0 or 1), target after the loop."""
    NEXT = 12
    """The item of a loop is complete."""
    ROW = 13
    """table: begins a row."""
    READ = 14
    """form, index of null or -1, table, offset and width in the row, symbols, first symbol, 1 to go back."""


class Form(IntEnum):
    """How a value is written, and what it becomes."""

    BOOLEAN_F8 = 0
    BOOLEAN_I8 = 1
    VARINT_F8 = 2
    VARINT_I8 = 3
    FLOAT_F8 = 4
    DOUBLE_F8 = 5
    TEXT = 6
    SYMBOL = 7


FORMS = {
    "f8": {
        "boolean": Form.BOOLEAN_F8,
        "int": Form.VARINT_F8,
        "long": Form.VARINT_F8,
        "float": Form.FLOAT_F8,
        "double": Form.DOUBLE_F8,
    },
    "i8": {"boolean": Form.BOOLEAN_I8, "int": Form.VARINT_I8, "long": Form.VARINT_I8},
    "S": {"string": Form.TEXT},
}
"""What each kind of column takes."""

NULLS: dict[str, float] = {"f8": np.nan, "i8": np.iinfo(np.int64).min}


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a value lies in a row: offset and width in bytes."""

    dtype: np.dtype
    offset: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of one table as the machine fills them.

    Attributes:
        cells: What a row holds, by name.
        stride: Bytes of a row, a multiple of 8.
        empty: A row of nulls.
    """

    cells: Mapping[str, Cell]
    stride: int
    empty: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """What the machine runs.

    Attributes:
        code: Operations and operands, int32 in the order of bytes of this machine.
        symbols: Symbols of enumerations, each as wide as the cell that takes it.
        layouts: The scalars, as one row a record, and then each table.
        places: Position in the code and the path of what is read or skipped from there, in order.
    """

    code: bytes
    symbols: bytes
    layouts: tuple[Layout, ...]
    places: tuple[tuple[int, str], ...]


def compile_program(schema: Type, projection: Projection) -> Program:
    """Return the program that reads a projection of records of a schema.

    Fields that the schema has not stay null, and their tables empty.

    Raises:
        BadSchema: A field has a type that its column does not take.
    """
    names = ["", *projection.tables]
    columns = [projection.scalars, *(table.columns for table in projection.tables.values())]
    layouts = tuple(_layout(table) for table in columns)
    root = _Node()
    root.add(0, layouts[0], projection.scalars)
    for number, name in enumerate(names[1:], start=1):
        table = projection.tables[name]
        node = root.at(table.path)
        node.tables.append(number)
        node.row = node.row or _Node()
        node.row.add(number, layouts[number], table.columns)
    return _Compiler().compile(schema, root, layouts)


def _layout(columns: Mapping[str, Column]) -> Layout:
    """Return a row with the numbers first, so that each is aligned."""
    dtypes = {name: _dtype(name, column.dtype) for name, column in columns.items()}
    cells, stride = {}, 0
    for name in sorted(dtypes, key=lambda name: dtypes[name].kind == "S"):
        cells[name] = Cell(dtypes[name], stride)
        stride += dtypes[name].itemsize
    stride += -stride % 8
    empty = bytearray(stride)
    for cell in cells.values():
        null = NULLS.get(cell.dtype.str[1:], b"")
        empty[cell.offset : cell.offset + cell.dtype.itemsize] = np.array(null, cell.dtype).tobytes()
    return Layout(cells, stride, bytes(empty))


def _dtype(name: str, text: str) -> np.dtype:
    if text not in {"f8", "i8"} and not (text[:1] == "S" and text[1:].isdecimal() and int(text[1:]) > 0):
        msg = f"column {name!r} must have the dtype f8, i8 or S with a number of bytes, not {text!r}"
        raise ValueError(msg)
    return np.dtype(text)


@dataclass(slots=True)
class _Target:
    """A cell that a value goes to, and the types that were met where it should come from."""

    name: str
    table: int
    cell: Cell
    met: set[str] = field(default_factory=set)
    taken: bool = False


@dataclass(slots=True, eq=False)
class _Node:
    """What is read at one path and below it.

    Attributes:
        children: What is read of a record, by field.
        targets: Where a value goes.
        tables: Which tables have a row for each item of an array.
        row: What is read of an item.
    """

    children: dict[str, _Node] = field(default_factory=dict)
    targets: list[_Target] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    row: _Node | None = None

    def at(self, path: tuple[str, ...]) -> _Node:
        node = self
        for name in path:
            node = node.children.setdefault(name, _Node())
        return node

    def add(self, table: int, layout: Layout, columns: Mapping[str, Column]) -> None:
        for name, column in columns.items():
            self.at(column.path).targets.append(_Target(name, table, layout.cells[name]))

    def all_targets(self) -> Iterator[_Target]:
        yield from self.targets
        for child in self.children.values():
            yield from child.all_targets()
        if self.row is not None:
            yield from self.row.all_targets()


class _Code:
    """The code as it grows; skips wait until something else comes, so that they can be merged."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.places: list[tuple[int, str]] = []
        self.path: tuple[str, ...] = ()
        self._path = ""
        self._skip = self._varints = self._texts = 0
        self._nullables: list[int] = []
        self._null = 0

    def emit(self, *words: int) -> int:
        """Append an operation; returns where its operands begin."""
        self.flush()
        return self._append(".".join(self.path), *words)

    def here(self) -> int:
        """Return where the next operation will be."""
        self.flush()
        return len(self.words)

    def skip(self, width: int) -> None:
        if width:
            self._wait(keep="_skip")
            self._skip = min(self._skip + width, MAX_WIDTH)

    def varint(self) -> None:
        self._wait(keep="_varints")
        self._varints += 1

    def text(self) -> None:
        self._wait(keep="_texts")
        self._texts += 1

    def nullable(self, null: int, width: int) -> None:
        self._wait(keep="_nullables" if null == self._null else "")
        self._null = null
        self._nullables.append(width)

    def _wait(self, keep: str) -> None:
        """Flush what waits unless it is of this kind."""
        if not (keep and getattr(self, keep)):
            self.flush()
            self._path = ".".join(self.path)

    def flush(self) -> None:
        if self._skip:
            self._append(self._path, Operation.SKIP, self._skip)
        if self._varints:
            self._append(self._path, Operation.VARINTS, self._varints)
        if self._texts:
            self._append(self._path, Operation.TEXTS, self._texts)
        if self._nullables:
            most = sum(11 if width < 0 else 1 + width for width in self._nullables)
            operands = (self._null, min(most, MAX_WIDTH), len(self._nullables), *self._nullables)
            self._append(self._path, Operation.NULLABLES, *operands)
        self._skip = self._varints = self._texts = 0
        self._nullables = []

    def _append(self, path: str, *words: int) -> int:
        if len(self.words) + len(words) > MAX_WORDS:
            msg = f"the program for a schema has more than {MAX_WORDS} words"
            raise BadSchema(msg)
        if not self.places or self.places[-1][1] != path:
            self.places.append((len(self.words), path))
        self.words.extend(words)
        return len(self.words) - len(words) + 1


class _Compiler:
    """Compiles one schema."""

    def __init__(self) -> None:
        self._code = _Code()
        self._symbols = bytearray()
        self._widths: dict[Record, int | None] = {}
        self._calls: dict[Record, list[int]] = {}

    def compile(self, schema: Type, root: _Node, layouts: tuple[Layout, ...]) -> Program:
        code = self._code
        self._read(schema, root)
        code.emit(Operation.END)
        addresses: dict[Record, int] = {}
        while pending := [record for record in self._calls if record not in addresses]:
            for record in pending:
                addresses[record] = code.here()
                code.path = (record.name,)
                self._fields(record)
                code.emit(Operation.RETURN)
        for record, operands in self._calls.items():
            for operand in operands:
                code.words[operand] = addresses[record]
        for target in root.all_targets():
            if target.met - {"null"} and not target.taken:
                msg = (
                    f"column {target.name!r} of dtype {target.cell.dtype.str[1:]} "
                    f"does not take the type {' or '.join(sorted(target.met))} that the schema has there"
                )
                raise BadSchema(msg)
        words = np.array(code.words, np.int32).tobytes()
        return Program(words, bytes(self._symbols), layouts, tuple(code.places))

    def _read(self, schema: Type, node: _Node) -> None:
        """Emit what reads a value, and skips what of it is not asked for."""
        if isinstance(schema, Union):
            self._read_union(schema, node)
        elif isinstance(schema, Record):
            self._meet(node, "record")
            if node.children:
                self._fields(schema, node)
            else:
                self._skip(schema)
        elif isinstance(schema, Array):
            self._meet(node, "array")
            # Items that take no bytes tell nothing, and a short record could have any number of them.
            if node.row is not None and self._width(schema.items) != 0:
                self._rows(schema, node.tables, node.row)
            else:
                self._skip(schema)
        else:
            self._read_scalar(schema, node, -1)

    def _read_union(self, schema: Union, node: _Node) -> None:
        null, value = _nullable(schema)
        if isinstance(value, Primitive | Enumeration | Fixed) and node.targets:
            self._read_scalar(value, node, null)
        elif node.targets or node.children or node.row is not None:
            self._branches(schema, lambda branch: self._read(branch, node))
        else:
            self._skip(schema)

    def _fields(self, record: Record, node: _Node | None = None) -> None:
        path = self._code.path
        for name, type_ in record.fields.items():
            self._code.path = (*path, name)
            child = node.children.get(name) if node else None
            if child is None:
                self._skip(type_)
            else:
                self._read(type_, child)
        self._code.path = path

    def _branches(self, schema: Union, each: Callable[[Type], None]) -> None:
        code = self._code
        first = code.emit(Operation.UNION, len(schema.branches), *([0] * len(schema.branches))) + 1
        ends = []
        for number, branch in enumerate(schema.branches):
            code.words[first + number] = code.here()
            each(branch)
            ends.append(code.emit(Operation.JUMP, 0))
        # The last branch need not jump: what follows, follows.
        del code.words[ends.pop() - 1 :]
        for end in ends:
            code.words[end] = code.here()

    def _rows(self, schema: Array, tables: list[int], row: _Node) -> None:
        code = self._code
        end = code.emit(Operation.LOOP, 0, 1, 0) + 2
        if isinstance(schema.items, Union):
            self._branches(schema.items, lambda branch: self._row(branch, tables, row))
        else:
            self._row(schema.items, tables, row)
        code.emit(Operation.NEXT)
        code.words[end] = code.here()

    def _row(self, schema: Type, tables: list[int], row: _Node) -> None:
        if schema == Primitive("null"):
            return
        for table in tables:
            self._code.emit(Operation.ROW, table)
        self._read(schema, row)

    def _meet(self, node: _Node, kind: str) -> None:
        for target in node.targets:
            target.met.add(kind)

    def _read_scalar(self, schema: Type, node: _Node, null: int) -> None:
        kind = schema.name if isinstance(schema, Primitive) else type(schema).__name__.lower()
        self._meet(node, kind)
        takers = []
        for target in node.targets:
            column = "S" if target.cell.dtype.kind == "S" else target.cell.dtype.str[1:]
            form = FORMS[column].get(kind)
            if isinstance(schema, Enumeration) and column == "S":
                form = Form.SYMBOL
            if form is not None:
                takers.append((target, form))
        if not takers:
            self._skip(schema if null < 0 else _optional(schema, null))
        for number, (target, form) in enumerate(takers, start=1):
            target.taken = True
            symbols = schema.symbols if isinstance(schema, Enumeration) else ()
            self._code.emit(
                Operation.READ,
                form,
                null,
                target.table,
                target.cell.offset,
                target.cell.dtype.itemsize,
                len(symbols),
                self._store(symbols, target),
                int(number < len(takers)),
            )

    def _store(self, symbols: tuple[str, ...], target: _Target) -> int:
        """Store symbols as wide as their cell; returns where they begin."""
        first, width = len(self._symbols), target.cell.dtype.itemsize
        for symbol in symbols:
            text = symbol.encode()
            if len(text) > width:
                msg = (
                    f"column {target.name!r} takes {width} bytes, and the schema has a symbol of {len(text)}"
                )
                raise BadSchema(msg)
            self._symbols += text.ljust(width, b"\0")
        return first

    def _skip(self, schema: Type) -> None:
        code, width = self._code, self._width(schema)
        if width is not None:
            code.skip(width)
        elif isinstance(schema, Enumeration) or schema in {Primitive("int"), Primitive("long")}:
            code.varint()
        elif isinstance(schema, Primitive):
            code.text()
        elif isinstance(schema, Union):
            self._skip_union(schema)
        elif isinstance(schema, Record):
            if schema.recursive or schema.uses > 1:
                self._calls.setdefault(schema, []).append(code.emit(Operation.CALL, 0))
            else:
                self._fields(schema)
        elif isinstance(schema, Array):
            self._skip_items(schema.items, is_map=False)
        elif isinstance(schema, Map):
            self._skip_items(schema.values, is_map=True)

    def _skip_union(self, schema: Union) -> None:
        null, value = _nullable(schema)
        width = None if value is None else self._width(value)
        if width is not None:
            self._code.nullable(null, width)
        elif isinstance(value, Enumeration) or value in {Primitive("int"), Primitive("long")}:
            self._code.nullable(null, -1)
        elif isinstance(value, Primitive):
            self._code.emit(Operation.NULLABLE_TEXT, null)
        else:
            self._branches(schema, self._skip)

    def _skip_items(self, items: Type, *, is_map: bool) -> None:
        code, width = self._code, self._width(items)
        if width is not None and not is_map:
            code.emit(Operation.ITEMS, width)
            return
        end = code.emit(Operation.LOOP, 1, 1, 0) + 2
        if is_map:
            code.text()
        self._skip(items)
        code.emit(Operation.NEXT)
        code.words[end] = code.here()

    def _width(self, schema: Type) -> int | None:
        """Return the bytes of a value, or None where they vary."""
        if isinstance(schema, Primitive):
            return WIDTHS.get(schema.name)
        if isinstance(schema, Fixed):
            return schema.size
        if not isinstance(schema, Record):
            return None
        if schema not in self._widths:
            # Until it is known: a record within itself has no width.
            self._widths[schema] = None
            total = 0
            for type_ in schema.fields.values():
                width = self._width(type_)
                if width is None:
                    break
                total = min(total + width, MAX_WIDTH)
            else:
                self._widths[schema] = total
        return self._widths[schema]


WIDTHS = {"null": 0, "boolean": 1, "float": 4, "double": 8}
"""Bytes of a primitive value, where they do not vary."""


def _nullable(schema: Type) -> tuple[int, Type | None]:
    """Return which branch of a union is null, and the other one; no type where it is no union of such two."""
    if isinstance(schema, Union) and len(schema.branches) == 2:
        for null in (0, 1):
            if schema.branches[null] == Primitive("null") and schema.branches[1 - null] != Primitive("null"):
                return null, schema.branches[1 - null]
    return 0, None


def _optional(schema: Type, null: int) -> Union:
    return Union((Primitive("null"), schema) if null == 0 else (schema, Primitive("null")))
