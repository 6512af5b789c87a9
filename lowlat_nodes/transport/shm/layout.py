# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What lies where in the file of a segment, and what the file is called.

| bytes | content |
|---|---|
| 0 to 7 | magic `LOWLATSM`; the writer holds a lock on byte 0 as long as it lives |
| 8 to 11 | u32 version, 1 |
| 12 to 15 | u32 number of slots |
| 16 to 23 | u64 bytes of a slot, a multiple of 4096 |
| 24 to 31 | u64 process that writes it |
| 32 to 39 | u64 when that process started, in clock ticks since the host did |
| 64 + 8 k | u64 generation of slot k, 0 while empty or written; its first byte bears its lock |
| 4096 + k x bytes of a slot | slot k |

All numbers are in the byte order of the host, little-endian wherever this runs. Bit 63 of a generation says
that its message has been announced and is not complete: whoever wants it waits for the lock.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from mmap import mmap
from typing import NamedTuple

from lowlat_nodes.stream.byte_lock import ByteLock
from lowlat_nodes.transport.shm.errors import SegmentRefused

PAGE = 4096
ALIGNMENT = 64
"""Of arrays in a slot, bytes: a cache line, and what vector units ask for."""

MAX_SLOTS = 256
ALIVE = ByteLock(0)
"""Held by the writer of a segment as long as it lives."""

ANNOUNCED = 1 << 63
"""Set in the generation of a slot that is still being written, and of which readers have heard."""

_MAGIC = b"LOWLATSM"
_VERSION = 1
_HEADER = struct.Struct("=8sIIQQQ")
_GENERATIONS = 64
_GENERATION_BYTES = 8
_NAME = re.compile(r"lowlat_(?:[A-Za-z0-9-]{1,32}_)?\d{1,10}_\d{1,20}_[0-9a-f]{8}")


class Header(NamedTuple):
    """The fixed part of a segment.

    Attributes:
        slots: How many.
        slot_bytes: Size of each.
        process: Who writes it; as its own process namespace calls it.
        started_ticks: When that process started.
    """

    slots: int
    slot_bytes: int
    process: int
    started_ticks: int

    @property
    def size(self) -> int:
        """Return the size of the file in bytes."""
        return PAGE + self.slots * self.slot_bytes

    def pack(self) -> bytes:
        """Return the bytes of the header, up to the generations."""
        return _HEADER.pack(_MAGIC, _VERSION, *self)


def parse_header(data: bytes, size: int) -> Header:
    """Return the header at the beginning of a file.

    Args:
        data: The first page.
        size: Of the whole file, bytes.

    Raises:
        SegmentRefused: If this is not the header of a file of that size.
    """
    if len(data) < PAGE:
        raise SegmentRefused(f"segment: expected at least {PAGE} bytes, got {size}")
    magic, version, *numbers = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != _VERSION:
        raise SegmentRefused(f"segment: expected {_MAGIC!r} version {_VERSION}, got {magic!r} {version}")
    header = Header(*numbers)
    sound = 0 < header.slots <= MAX_SLOTS and header.slot_bytes >= PAGE and not header.slot_bytes % PAGE
    if not sound or header.size != size:
        raise SegmentRefused(
            f"segment: {header.slots} slots of {header.slot_bytes} bytes are not a file of {size} bytes"
        )
    return header


def _generation_at(slot: int) -> int:
    """Return where the generation of a slot lies."""
    return _GENERATIONS + _GENERATION_BYTES * slot


def generations(memory: mmap, slots: int) -> memoryview:
    """Return the generations of all slots as whole numbers, each read and written at once."""
    end = _GENERATIONS + _GENERATION_BYTES * slots
    return memoryview(memory)[_GENERATIONS:end].cast("Q")


def slot_at(slot: int, slot_bytes: int) -> int:
    """Return where a slot begins."""
    return PAGE + slot * slot_bytes


SLOT_LOCKS = tuple(ByteLock(_generation_at(slot)) for slot in range(MAX_SLOTS))


def aligned(size: int, alignment: int = ALIGNMENT) -> int:
    """Return the least multiple of the alignment that is not below the size."""
    return -(-size // alignment) * alignment


def laid_out(sizes: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Return where each array of a message begins in a slot, and where the last one ends.

    Args:
        sizes: Of the arrays, bytes.
    """
    if len(sizes) == 1:
        return (0,), sizes[0]
    offsets = []
    end = 0
    for size in sizes:
        begin = aligned(end)
        offsets.append(begin)
        end = begin + size
    return tuple(offsets), end


def segment_name(hint: str, process: int, started_ticks: int, number: int) -> str:
    """Return the file name of a segment; of the hint, letters, digits and hyphens are kept, 32 at most."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", hint).strip("-")[:32]
    return f"lowlat_{readable + '_' if readable else ''}{process}_{started_ticks}_{number:08x}"


def is_segment_name(name: str) -> bool:
    """Tell whether a file is called as segments are."""
    return _NAME.fullmatch(name) is not None
