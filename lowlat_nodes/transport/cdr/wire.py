# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The primitives of CDR: aligned numbers, strings and sequences, bounds-checked.

OMG DDS-RTPS 2.5 section 10 (encapsulation) and DDS-XTYPES 1.3 section 7.4 (XCDR1, `PLAIN_CDR`): a header of
four bytes, then values aligned to their size counted from its end. An empty sequence has no padding
after its length. Both byte orders are read, little endian is written.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.payload import NO_FLOATS, Floats

Buffer = bytes | bytearray | memoryview

HEADER = b"\x00\x01\x00\x00"  # PLAIN_CDR, little endian, no options
START = len(HEADER)
NAME_LIMIT = 1024  # bytes of a frame, joint or encoding name
TEXT_LIMIT = 1 << 20
SEQUENCE_LIMIT = 1 << 14  # items that are read one by one: joints, points

_ORDERS = {b"\x00\x00": ">", b"\x00\x01": "<"}
_S = 1_000_000_000


class CdrError(LowlatError):
    """Bytes that are not the message they claim to be, or a payload that does not fit one."""


class Reader:
    """Reads one message front to back; every read checks that the bytes are there.

    Args:
        data: The message with its encapsulation header.

    Attributes:
        offset: Where it reads next.
        order: Of the bytes of a number: `<` or `>`.

    Raises:
        CdrError: Here for another encapsulation than plain CDR, from every method for missing bytes.
    """

    __slots__ = ("_f8", "_size", "_stamp", "_u4", "data", "offset", "order")

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.offset = START
        self._size = len(data)
        order = _ORDERS.get(bytes(data[:2]))
        if order is None or self._size < START:
            raise CdrError(
                f"expected a plain CDR message (starts with 0000 or 0001), got {self._size} bytes that start "
                f"with {bytes(data[:4]).hex() or 'nothing'}"
            )
        self.order = order
        self._u4 = struct.Struct(order + "I")
        self._stamp = struct.Struct(order + "iI")
        self._f8 = np.dtype(order + "f8")

    def take(self, size: int, what: str) -> int:
        """Move over `size` bytes and return where they begin."""
        start = self.offset
        if size > self._size - start:
            raise CdrError(
                f"{what}: expected {size} bytes at offset {start}, got {max(self._size - start, 0)}"
            )
        self.offset = start + size
        return start

    def align(self, size: int) -> None:
        """Skip the padding before a value of `size` bytes."""
        self.offset += -(self.offset - START) % size

    def u1(self, what: str) -> int:
        """Read a uint8 (octet, boolean)."""
        return self.data[self.take(1, what)]

    def u2(self, what: str) -> int:
        """Read a uint16."""
        self.align(2)
        value: int = struct.unpack_from(self.order + "H", self.data, self.take(2, what))[0]
        return value

    def u4(self, what: str) -> int:
        """Read a uint32."""
        self.align(4)
        value: int = self._u4.unpack_from(self.data, self.take(4, what))[0]
        return value

    def f4(self, what: str) -> float:
        """Read a float32."""
        self.align(4)
        value: float = struct.unpack_from(self.order + "f", self.data, self.take(4, what))[0]
        return value

    def time_ns(self, what: str) -> int:
        """Read builtin_interfaces Time or Duration as nanoseconds."""
        self.align(4)
        seconds, nanoseconds = self._stamp.unpack_from(self.data, self.take(8, what))
        return stamp_ns(seconds, nanoseconds, what)

    def string(self, what: str, limit: int = NAME_LIMIT) -> str:
        """Read a string of at most `limit` bytes."""
        size = self.u4(what)
        if size > limit + 1:
            raise CdrError(f"{what}: expected a string of at most {limit} bytes, got {size - 1}")
        start = self.take(size, what)
        raw = bytes(self.data[start : start + size])
        if raw and raw[-1]:  # length 0, without even the terminator, is what some writers make of ""
            raise CdrError(f"{what}: expected a string that ends with NUL, got {raw[-16:]!r}")
        try:
            return raw[:-1].decode()
        except UnicodeDecodeError as error:
            raise CdrError(f"{what}: expected UTF-8, got {raw[:16]!r}") from error

    def count(self, what: str, item_size: int, limit: int = 1 << 32) -> int:
        """Read the length of a sequence whose items take at least `item_size` bytes each."""
        count = self.u4(what)
        if count * item_size > self._size - self.offset:
            raise CdrError(
                f"{what}: expected at most {self._size - self.offset} bytes of items, got {count} items"
            )
        if count > limit:
            raise CdrError(f"{what}: expected at most {limit} items, got {count}")
        return count

    def strings(self, what: str) -> tuple[str, ...]:
        """Read a sequence of strings."""
        return tuple([self.string(what) for _ in range(self.count(what, 4, SEQUENCE_LIMIT))])

    def floats(self, what: str) -> Floats:
        """Read a sequence of float64 into an array of its own (on the wire they may lie unaligned)."""
        count = self.count(what, 8)
        if not count:
            return NO_FLOATS
        self.align(8)
        start = self.take(8 * count, what)
        return np.frombuffer(self.data, self._f8, count, start).astype(np.float64)

    def aligned_floats(self) -> Floats:
        """Return a view on the message as if it were float64 from front to back, whatever it is.

        The value at offset o is number (o - START) / 8; for types whose float64 lie scattered.
        """
        return np.frombuffer(memoryview(self.data)[START : START + (self._size - START) // 8 * 8], self._f8)

    def octets(self, what: str) -> NDArray[np.uint8]:
        """Read a sequence of uint8 as a read-only view on the message."""
        count = self.count(what, 1)
        view = np.frombuffer(self.data, np.uint8, count, self.take(count, what))
        view.flags.writeable = False
        return view


class Writer:
    """Writes one little-endian message front to back."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray(HEADER)

    def __len__(self) -> int:
        return len(self._buffer)

    def align(self, size: int) -> None:
        """Pad to the alignment of a value of `size` bytes."""
        self._buffer += bytes(-(len(self._buffer) - START) % size)

    def raw(self, data: Buffer) -> None:
        """Write bytes as they are."""
        self._buffer += data

    def u1(self, value: int) -> None:
        """Write a uint8."""
        self._buffer.append(value)

    def u2(self, value: int) -> None:
        """Write a uint16."""
        self.align(2)
        self._buffer += value.to_bytes(2, "little")

    def u4(self, value: int) -> None:
        """Write a uint32."""
        self.align(4)
        self._buffer += value.to_bytes(4, "little")

    def f4(self, value: float) -> None:
        """Write a float32."""
        self.align(4)
        self._buffer += struct.pack("<f", value)

    def f8(self, value: float) -> None:
        """Write a float64."""
        self.align(8)
        self._buffer += struct.pack("<d", value)

    def time_ns(self, value: int) -> None:
        """Write builtin_interfaces Time or Duration.

        Raises:
            CdrError: If it does not fit into 32 bits of seconds (the year 2038).
        """
        self.align(4)
        self._buffer += pack_time(value)

    def string(self, value: str) -> None:
        """Write a string."""
        raw = value.encode()
        self.u4(len(raw) + 1)
        self._buffer += raw
        self._buffer.append(0)

    def strings(self, values: Sequence[str]) -> None:
        """Write a sequence of strings."""
        self.u4(len(values))
        for value in values:
            self.string(value)

    def floats(self, values: Floats) -> None:
        """Write a sequence of float64, or of structures of them: [n, fields]."""
        self.u4(len(values))
        if len(values):
            self.align(8)
            self._buffer += np.asarray(values, dtype="<f8").tobytes()

    def finish(self, tail: Buffer = b"") -> bytes:
        """Return the message, with `tail` behind it: large payloads are copied once, here."""
        return b"".join((self._buffer, tail))


def stamp_ns(seconds: int, nanoseconds: int, what: str = "stamp") -> int:
    """Return a Time or Duration as nanoseconds.

    Raises:
        CdrError: If its fraction is not below one second.
    """
    if nanoseconds >= _S:
        raise CdrError(f"{what}: expected nanosec below 1000000000, got {nanoseconds}")
    return seconds * _S + nanoseconds


def pack_time(value: int) -> bytes:
    """Return nanoseconds as the eight bytes of a Time or Duration."""
    seconds, nanoseconds = divmod(value, _S)
    if not -(1 << 31) <= seconds < 1 << 31:
        raise CdrError(f"expected a time that fits into 32 bits of seconds, got {value} ns")
    return struct.pack("<iI", seconds, nanoseconds)
