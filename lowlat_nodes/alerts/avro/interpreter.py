# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The machine in Python, for where the extension was not built: the same results, far slower.

It runs the same programs with the same limits as `_machine.c`, and refuses the same records for the same
reasons.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lowlat_nodes.alerts.avro.program import Form, Operation
from lowlat_nodes.alerts.avro.refusal import Reason

MAX_DEPTH = 128
MAX_BODY = 1 << 30

PACK_F8, PACK_I8 = struct.Struct("=d").pack_into, struct.Struct("=q").pack_into
FLOAT, DOUBLE = struct.Struct("<f").unpack_from, struct.Struct("<d").unpack_from

# Comparisons of enumerations take longer than those of integers, and here they would be most of the work.
END, TEXT, SYMBOL = int(Operation.END), int(Form.TEXT), int(Form.SYMBOL)


class Machine:
    """Runs a program over the bodies of records; its arguments and results are those of the extension."""

    def __init__(
        self,
        code: bytes,
        symbols: bytes,
        layouts: tuple[tuple[int, bytes, tuple[tuple[int, int], ...]], ...],
        max_rows: int,
        max_bytes: int,
    ) -> None:
        self._job = _Job(array("i", code).tolist(), symbols, max_rows, max_bytes)
        self._layouts = layouts

    def read(
        self, bodies: Sequence[bytes | bytearray | memoryview]
    ) -> tuple[tuple[tuple[int, bytearray, bytearray], ...], list[tuple[int, int, int, int, int]]]:
        """Return the rows, offsets and columns of each table, and what was refused."""
        scalars, *tables = every = [_Table(stride, empty) for stride, empty, _ in self._layouts]
        run = _Run(self._job, every)
        refused = []
        for number, body in enumerate(bodies):
            scalars.add()
            try:
                run.whole(bytes(body))
            except _Bad as bad:
                refused.append((number, *bad.args))
                scalars.truncate(number)
                scalars.add()
                for table in tables:
                    table.truncate(table.ends[-1])
            for table in every:
                table.ends.append(table.rows)
        read = []
        for table, (_, _, cells) in zip(every, self._layouts, strict=True):
            read.append((table.rows, bytearray(table.ends.tobytes()), table.columns(cells)))
        return tuple(read), refused

    def length(
        self, body: bytes | bytearray | memoryview
    ) -> tuple[int, tuple[int, int, int, int, int] | None]:
        """Return the bytes of the record at the start of a body, or why there is none."""
        try:
            return _Run(self._job, []).record(bytes(body)), None
        except _Bad as bad:
            return 0, (0, *bad.args)


def _pattern(null: int, widths: list[int]) -> re.Pattern[bytes]:
    """Return what nullable values look like where integers take no more bytes than they need."""
    absent, present = (b"\\x02", b"\\x00") if null else (b"\\x00", b"\\x02")
    values = (b".{%d}" % width if width >= 0 else b"[\\x80-\\xff]{0,8}[\\x00-\\x7f]" for width in widths)
    return re.compile(b"".join(b"(?:%b|%b%b)" % (absent, present, value) for value in values), re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Job:
    """A program and its limits, and the patterns of nullable values by their place in it."""

    code: list[int]
    symbols: bytes
    max_rows: int
    max_bytes: int
    patterns: dict[int, re.Pattern[bytes]] = field(default_factory=dict)


class _Bad(Exception):
    """A record cannot be read: the reason, the place in the program, the position in the body, a number."""


class _Table:
    """Rows as they are filled."""

    def __init__(self, stride: int, empty: bytes) -> None:
        self.stride = stride
        self.empty = empty
        self.cells = bytearray()
        self.rows = 0
        self.capacity = 0
        self.ends = array("q", [0])

    def add(self) -> None:
        """Begin a row of nulls."""
        self.cells += self.empty
        self.rows += 1

    def truncate(self, rows: int) -> None:
        self.rows = rows
        del self.cells[rows * self.stride :]

    def columns(self, cells: tuple[tuple[int, int], ...]) -> bytearray:
        """Return the columns one after another, each at a multiple of 8 bytes."""
        rows = np.frombuffer(self.cells, np.uint8).reshape(self.rows, self.stride)
        columns = bytearray()
        for offset, width in cells:
            columns += rows[:, offset : offset + width].tobytes()
            columns += bytes(-len(columns) % 8)
        return columns


class _Frame:
    """A loop that goes on, with the position of its operands, or a call that returns."""

    __slots__ = ("body", "left", "loop")

    def __init__(self, body: int, loop: int = 0) -> None:
        self.body = body
        self.loop = loop
        self.left = 0


class _Run:
    """Reads records one after another into tables."""

    def __init__(self, job: _Job, tables: list[_Table]) -> None:
        self._job = job
        self._code = job.code
        self._tables = tables
        self._bytes = 0
        self._data = b""
        self._at = 0
        self._place = 0
        self._rows = 0
        self._frames: list[_Frame] = []

    def whole(self, body: bytes) -> None:
        """Read a record that must end where its body ends."""
        end = self.record(body)
        if end < len(body):
            raise _Bad(Reason.TRAILING, -1, end, len(body) - end)

    def record(self, body: bytes) -> int:
        """Read the record at the start of a body; returns where it ends."""
        if len(body) > MAX_BODY:
            raise _Bad(Reason.SIZE, -1, 0, MAX_BODY)
        self._data, self._at, self._rows, self._frames = body, 0, 0, []
        code, place = self._code, 0
        while (operation := code[place]) != END:
            self._place = place
            place = _STEPS[operation](self, place + 1)
        return self._at

    def _fail(self, reason: Reason, value: int = 0) -> _Bad:
        return _Bad(reason, self._place, self._at, value)

    def _varint(self) -> int:
        data, at, bits = self._data, self._at, 0
        if at < len(data) and data[at] < 0x80:
            self._at = at + 1
            return (data[at] >> 1) ^ -(data[at] & 1)
        for shift in range(0, 70, 7):
            if at == len(data):
                raise self._fail(Reason.TRUNCATED)
            byte = data[at]
            at += 1
            if shift == 63 and byte > 1:
                break
            bits |= (byte & 0x7F) << shift
            if byte < 0x80:
                self._at = at
                return (bits >> 1) ^ -(bits & 1)
        raise self._fail(Reason.OVERLONG)

    def _skip(self, width: int) -> None:
        if width > len(self._data) - self._at:
            raise self._fail(Reason.TRUNCATED, width)
        self._at += width

    def _length(self) -> int:
        length = self._varint()
        if length < 0:
            raise self._fail(Reason.NEGATIVE, length)
        if length > len(self._data) - self._at:
            raise self._fail(Reason.TRUNCATED, length)
        return length

    def _skip_sized(self) -> None:
        length = self._length()
        self._at += length

    def _branch(self, count: int) -> int:
        branch = self._varint()
        if not 0 <= branch < count:
            raise self._fail(Reason.BRANCH, branch)
        return branch

    def _do_skip(self, place: int) -> int:
        self._skip(self._code[place])
        return place + 1

    def _do_varints(self, place: int) -> int:
        for _ in range(self._code[place]):
            self._varint()
        return place + 1

    def _do_texts(self, place: int) -> int:
        for _ in range(self._code[place]):
            self._skip_sized()
        return place + 1

    def _do_nullables(self, place: int) -> int:
        null, _, count = self._code[place : place + 3]
        first = place + 3
        widths = self._code[first : first + count]
        if place not in self._job.patterns:
            self._job.patterns[place] = _pattern(null, widths)
        # A regular expression skips all of them at once, unless they are cut, wrong or oddly written.
        skipped = self._job.patterns[place].match(self._data, self._at)
        if skipped:
            self._at = skipped.end()
            return first + count
        for width in widths:
            if self._at == len(self._data):
                raise self._fail(Reason.TRUNCATED, 1)
            if self._branch(2) != null:
                if width < 0:
                    self._varint()
                else:
                    self._skip(width)
        return first + count

    def _do_nullable_text(self, place: int) -> int:
        if self._branch(2) != self._code[place]:
            self._skip_sized()
        return place + 1

    def _do_union(self, place: int) -> int:
        return self._code[place + 1 + self._branch(self._code[place])]

    def _do_jump(self, place: int) -> int:
        return self._code[place]

    def _push(self, frame: _Frame) -> None:
        if len(self._frames) == MAX_DEPTH:
            raise self._fail(Reason.DEPTH, MAX_DEPTH)
        self._frames.append(frame)

    def _do_call(self, place: int) -> int:
        self._push(_Frame(place + 1))
        return self._code[place]

    def _do_return(self, _: int) -> int:
        return self._frames.pop().body

    def _do_items(self, place: int) -> int:
        width = self._code[place]
        while count := self._varint():
            if count < 0:
                self._skip_sized()
            elif count * width > len(self._data) - self._at:
                raise self._fail(Reason.COUNT, count)
            else:
                self._at += count * width
        return place + 1

    def _do_loop(self, place: int) -> int:
        self._push(_Frame(place + 3, place))
        return self._block()

    def _do_next(self, _: int) -> int:
        frame = self._frames[-1]
        frame.left -= 1
        return frame.body if frame.left else self._block()

    def _block(self) -> int:
        """Begin the next block of a loop; returns where to go on."""
        frame = self._frames[-1]
        by_size, least, after = self._code[frame.loop : frame.loop + 3]
        while (items := self._varint()) < 0:
            if not by_size:
                self._length()
                break
            self._skip_sized()
        if items == 0:
            self._frames.pop()
            return after
        if abs(items) > (len(self._data) - self._at if least else self._job.max_rows):
            raise self._fail(Reason.COUNT, min(abs(items), (1 << 63) - 1))
        frame.left = abs(items)
        return frame.body

    def _do_row(self, place: int) -> int:
        self._rows += 1
        if self._rows > self._job.max_rows:
            raise self._fail(Reason.ROWS, self._job.max_rows)
        table = self._tables[self._code[place]]
        if table.rows == table.capacity:
            # The extension's way to grow, so that both meet the limit at the same row.
            grown = max(table.capacity, 64) * table.stride
            if grown > self._job.max_bytes - self._bytes:
                raise self._fail(Reason.MEMORY, self._job.max_bytes)
            self._bytes += grown
            table.capacity += max(table.capacity, 64)
        table.add()
        return place + 1

    def _do_read(self, place: int) -> int:
        form, null, table, offset, width, symbols, first, rewind = self._code[place : place + 8]
        start = self._at
        if null < 0 or self._branch(2) != null:
            rows = self._tables[table]
            cell = len(rows.cells) - rows.stride + offset
            if form == TEXT:
                rows.cells[cell : cell + width] = self._text(width).ljust(width, b"\0")
            elif form == SYMBOL:
                symbol = self._varint()
                if not 0 <= symbol < symbols:
                    raise self._fail(Reason.SYMBOL, symbol)
                begin = first + symbol * width
                rows.cells[cell : cell + width] = self._job.symbols[begin : begin + width]
            else:
                number, pack = _NUMBERS[form]
                pack(rows.cells, cell, number(self))
        if rewind:
            self._at = start
        return place + 8

    def _text(self, width: int) -> bytes:
        length = self._length()
        if length > width:
            raise self._fail(Reason.WIDTH, length)
        text = self._data[self._at : self._at + length]
        try:
            text.decode()
        except UnicodeDecodeError:
            raise self._fail(Reason.UTF8, length) from None
        self._at += length
        return text

    def _boolean(self) -> int:
        at = self._at
        self._skip(1)
        return int(self._data[at] != 0)

    def _float(self) -> float:
        at = self._at
        self._skip(4)
        return float(FLOAT(self._data, at)[0])

    def _double(self) -> float:
        at = self._at
        self._skip(8)
        return float(DOUBLE(self._data, at)[0])


_NUMBERS: dict[int, tuple[Callable[[_Run], float], Callable[..., None]]] = {
    Form.BOOLEAN_F8: (_Run._boolean, PACK_F8),
    Form.BOOLEAN_I8: (_Run._boolean, PACK_I8),
    Form.VARINT_F8: (_Run._varint, PACK_F8),
    Form.VARINT_I8: (_Run._varint, PACK_I8),
    Form.FLOAT_F8: (_Run._float, PACK_F8),
    Form.DOUBLE_F8: (_Run._double, PACK_F8),
}
"""How a number is read, and how it is put into its cell."""

_STEPS = {
    operation.value: getattr(_Run, f"_do_{operation.name.lower()}")
    for operation in Operation
    if operation is not Operation.END
}
"""What each operation does; takes where its operands begin and returns where the next one is."""
