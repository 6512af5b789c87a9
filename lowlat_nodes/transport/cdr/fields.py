# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Fields of ROS messages of any type: each kind of field reads and writes its values in CDR.

To `pass_over` a field checks all that `read` does, and makes nothing of it. Values are as in
`stream.payload.Structure`. Every value comes back as it was, with the bits of a NaN.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.cdr.wire import Buffer, CdrError, Reader, Writer
from lowlat_nodes.transport.floats import narrow, widen

# ROS name: NumPy name, code of the module struct.
NUMBERS = {
    "bool": ("b1", "?"),
    "byte": ("u1", "B"),
    "char": ("u1", "B"),
    "octet": ("u1", "B"),
    "uint8": ("u1", "B"),
    "int8": ("i1", "b"),
    "uint16": ("u2", "H"),
    "int16": ("i2", "h"),
    "uint32": ("u4", "I"),
    "int32": ("i4", "i"),
    "uint64": ("u8", "Q"),
    "int64": ("i8", "q"),
    "float32": ("f4", "f"),
    "float64": ("f8", "d"),
}

_KINDS: dict[str, tuple[type, ...]] = {"b": (bool,), "u": (int,), "i": (int,), "f": (float, int)}


class TextUnreadable(CdrError):
    """A string that is not UTF-8: ROS sends any bytes."""


class TooMuch(CdrError):
    """A message holds more text and numbers than were to be read one by one."""


class FieldReader(Reader):
    """Reads fields, and keeps count of what has to be made of them.

    Args:
        data: The message with its encapsulation header.
        room: How much text, in bytes, and how many other values, as 9 bytes each, may be in it beside arrays.

    Attributes:
        room: What is left of it.
        arrays: The arrays that were read.
    """

    __slots__ = ("arrays", "room")

    def __init__(self, data: Buffer, room: int) -> None:
        super().__init__(data)
        self.room = room
        self.arrays: list[NDArray[Any]] = []

    def spend(self, size: int) -> None:
        """Take from the room that is left."""
        self.room -= size
        if self.room < 0:
            raise TooMuch("expected less text and numbers in a message")


class Field(Protocol):
    """One kind of field.

    Attributes:
        least: The bytes that it takes at least.
        size: What its fixed part takes of the room of a `FieldReader`.
    """

    least: int
    size: int

    def read(self, reader: FieldReader, what: str) -> Any:
        """Return the value."""

    def pass_over(self, reader: Reader, what: str) -> None:
        """Move on behind the value.

        Raises:
            CdrError: If there is none.
        """

    def write(self, writer: Writer, value: Any, what: str) -> None:
        """Write the value.

        Raises:
            CdrError: If it is none of this field.
        """


class Number:
    """One number or boolean.

    Args:
        base: Its ROS name.

    Attributes:
        alike: How large it is, and 1; zeros for a boolean, which not every byte is.
    """

    def __init__(self, base: str) -> None:
        name, code = NUMBERS[base]
        self._base = base
        self._kinds = _KINDS[name[0]]
        self._packed = {order: struct.Struct(order + code) for order in "<>"}
        self.least = self._packed["<"].size
        self.size = 9
        self.alike = (0, 0) if base == "bool" else (self.least, 1)

    def read(self, reader: FieldReader, what: str) -> Any:
        """Return the value."""
        size = self.least
        reader.align(size)
        start = reader.take(size, what)
        value = self._packed[reader.order].unpack_from(reader.data, start)[0]
        if value != value and size == 4:  # noqa: PLR0124 # NaN
            return float(widen(np.frombuffer(reader.data, reader.order + "f4", 1, start).astype("<f4"))[0])
        if self._base == "bool" and reader.data[start] > 1:
            raise CdrError(f"{what}: expected 0 or 1 as bool, got {reader.data[start]}")
        return value

    def pass_over(self, reader: Reader, what: str) -> None:
        """Move on behind the value."""
        reader.align(self.least)
        start = reader.take(self.least, what)
        if self._base == "bool" and reader.data[start] > 1:
            raise CdrError(f"{what}: expected 0 or 1 as bool, got {reader.data[start]}")

    def write(self, writer: Writer, value: Any, what: str) -> None:
        """Write the value."""
        if type(value) not in self._kinds:
            raise CdrError(f"{what}: expected {self._base}, got {type(value).__name__}")
        writer.align(self.least)
        if value != value and self.least == 4:  # noqa: PLR0124
            writer.raw(narrow(np.array([value])).tobytes())
            return
        try:
            writer.raw(self._packed["<"].pack(value))
        except (struct.error, OverflowError) as error:
            raise CdrError(f"{what}: expected {self._base}, got {value}") from error


class Text:
    """A string.

    Args:
        bound: How many bytes at most, 0 for any number.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound or 1 << 32
        self.least = 4
        self.size = 5

    def read(self, reader: FieldReader, what: str) -> str:
        """Return the string."""
        size = self._size(reader, what)
        start = reader.offset - size
        reader.spend(size)
        try:
            return str(memoryview(reader.data)[start : start + max(size - 1, 0)], "utf-8")
        except UnicodeDecodeError as error:
            raise TextUnreadable(f"{what}: expected UTF-8: {error}") from error

    def pass_over(self, reader: Reader, what: str) -> None:
        """Move on behind the string, which may be any bytes."""
        self._size(reader, what)

    def _size(self, reader: Reader, what: str) -> int:
        """Move on behind the string, and return its size with the end."""
        size = reader.u4(what)
        start = reader.take(size, what)
        if size and reader.data[start + size - 1]:
            raise CdrError(f"{what}: expected a string that ends with NUL")
        if size > self._bound + 1:
            raise CdrError(f"{what}: expected at most {self._bound} bytes, got {size - 1}")
        return size

    def write(self, writer: Writer, value: Any, what: str) -> None:
        """Write the string."""
        if type(value) is not str:
            raise CdrError(f"{what}: expected text, got {type(value).__name__}")
        try:
            data = value.encode()
        except UnicodeEncodeError as error:
            raise CdrError(f"{what}: expected what UTF-8 can say: {error}") from error
        if len(data) > self._bound:
            raise CdrError(f"{what}: expected at most {self._bound} bytes, got {len(data)}")
        writer.u4(len(data) + 1)
        writer.raw(data)
        writer.u1(0)


class Numbers:
    """An array of numbers.

    Args:
        base: Their ROS name.
        count: How many: exactly, or at most; 0 for any number.
        fixed: Whether exactly.
    """

    def __init__(self, base: str, count: int, *, fixed: bool) -> None:
        self._length = Length(count, fixed=fixed)
        self._dtypes = {order: np.dtype(order + NUMBERS[base][0]) for order in "<>"}
        self._item = self._dtypes["<"].itemsize
        self.least = count * self._item if fixed else 4
        self.size = 16

    def read(self, reader: FieldReader, what: str) -> NDArray[Any]:
        """Return a read-only view on the message; a copy where its bytes are in the other order."""
        count = self._length.read(reader, what, self._item)
        if count:
            reader.align(self._item)
        start = reader.take(count * self._item, what)
        view: NDArray[Any] = np.frombuffer(reader.data, self._dtypes[reader.order], count, start)
        array = view.astype(self._dtypes["<"]) if reader.order == ">" else view
        if array.dtype.kind == "b" and count and array.view(np.uint8).max() > 1:
            raise CdrError(f"{what}: expected 0 or 1 as bool")
        array.setflags(write=False)
        reader.arrays.append(array)
        return array

    def pass_over(self, reader: Reader, what: str) -> None:
        """Move on behind the array."""
        count = self._length.read(reader, what, self._item)
        if count:
            reader.align(self._item)
        start = reader.take(count * self._item, what)
        truths = self._dtypes["<"].kind == "b" and count
        if truths and np.frombuffer(reader.data, np.uint8, count, start).max() > 1:
            raise CdrError(f"{what}: expected 0 or 1 as bool")

    def write(self, writer: Writer, value: Any, what: str) -> None:
        """Write the array, float32 [n] for example."""
        dtype = self._dtypes["<"]
        if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != 1:
            found = f"{value.dtype.str} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value)
            raise CdrError(f"{what}: expected an array {dtype.str} [n], got {found}")
        self._length.write(writer, len(value), what)
        if len(value):
            writer.align(self._item)
            writer.raw(np.ascontiguousarray(value).data.cast("B"))


class Items:
    """An array of strings or of nested messages.

    Args:
        item: What each is.
        count: How many: exactly, or at most; 0 for any number.
        fixed: Whether exactly.
    """

    def __init__(self, item: Text | Nested, count: int, *, fixed: bool) -> None:
        self._length = Length(count, fixed=fixed)
        self._item = item
        self.least = count * item.least if fixed else 4
        self.size = 5

    def read(self, reader: FieldReader, what: str) -> list[Any]:
        """Return the items."""
        count = self._length.read(reader, what, self._item.least)
        reader.spend(count * self._item.size)
        read = self._item.read
        return [read(reader, what) for _ in range(count)]

    def pass_over(self, reader: Reader, what: str) -> None:
        """Move on behind the items; all at once where they are made of numbers of one size."""
        count = self._length.read(reader, what, self._item.least)
        size, numbers = self._item.alike if isinstance(self._item, Nested) else (0, 0)
        if size and count:
            reader.align(size)
            reader.take(count * size * numbers, what)
            return
        for _ in range(count):
            self._item.pass_over(reader, what)

    def write(self, writer: Writer, value: Any, what: str) -> None:
        """Write the items."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise CdrError(f"{what}: expected a list, got {type(value).__name__}")
        self._length.write(writer, len(value), what)
        for item in value:
            self._item.write(writer, item, what)


class Nested:
    """A message, by itself or as a field of another.

    Args:
        fields: Its fields by name, in order.

    Attributes:
        alike: The size of its numbers, and how many they are, where it is made of nothing else; zeros
            otherwise.
    """

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = tuple(fields.items())
        self.least = sum(field.least for field in fields.values())
        self.size = 5 + sum(2 + len(name.encode()) + field.size for name, field in self._fields)

        self.alike = _alike(list(fields.values()))

    def pass_over(self, reader: Reader, what: str) -> None:  # noqa: ARG002
        """Move on behind the fields."""
        for name, field in self._fields:
            field.pass_over(reader, name)

    def read(self, reader: FieldReader, what: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the fields by name."""
        return {name: field.read(reader, name) for name, field in self._fields}

    def write(self, writer: Writer, value: Any, what: str) -> None:
        """Write the fields, in whatever order they come."""
        if not isinstance(value, Mapping):
            raise CdrError(f"{what}: expected a mapping of fields, got {type(value).__name__}")
        if len(value) != len(self._fields) or not all(name in value for name, _ in self._fields):
            names = [name for name, _ in self._fields]
            raise CdrError(
                f"{what}: expected the fields {', '.join(names)}; got {', '.join(map(str, value))}"
            )
        for name, field in self._fields:
            field.write(writer, value[name], name)


def _alike(fields: Sequence[Field]) -> tuple[int, int]:
    """Return size and number of the numbers in fields; zeros where not all are numbers of one size."""
    parts = [field.alike if isinstance(field, Number | Nested) else (0, 0) for field in fields]
    sizes = {size for size, _ in parts}
    return (sizes.pop(), sum(count for _, count in parts)) if len(sizes) == 1 and 0 not in sizes else (0, 0)


class Length:
    """How many items an array has, and whether it is written down before them.

    Args:
        count: How many: exactly, or at most; 0 for any number.
        fixed: Whether exactly.
    """

    def __init__(self, count: int, *, fixed: bool) -> None:
        self._count = count
        self._fixed = fixed

    def read(self, reader: Reader, what: str, least: int) -> int:
        """Return the number of items that take `least` bytes each at least; so many are there."""
        if self._fixed:
            return self._count
        return reader.count(what, least, self._count or 1 << 32)

    def write(self, writer: Writer, count: int, what: str) -> None:
        """Write it, after checking it."""
        if self._fixed:
            if count != self._count:
                raise CdrError(f"{what}: expected {self._count} items, got {count}")
            return
        if count > (self._count or math.inf):
            raise CdrError(f"{what}: expected at most {self._count} items, got {count}")
        writer.u4(count)
