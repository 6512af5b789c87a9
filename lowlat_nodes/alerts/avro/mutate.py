# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Many changed copies of one record, each of which ends where readable memory ends."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SLOTS = 512
"""Copies in memory at once, fewer of large records."""

SLOT_BYTES = 1 << 23
"""Memory for the copies."""

TRUNCATED = 0.15
"""How many of the copies are cut."""

CHANGES = 6
"""Most bytes that are changed one by one."""

TELLING = np.array([0x00, 0x01, 0x02, 0x03, 0x04, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF], np.uint8)
"""Bytes that mean something: small numbers and branches, ends of blocks, the first bytes of long integers."""

LONGS = (
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # 2^63 - 1
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # -2^63
    b"\xfe\xff\xff\xff\x0f",  # 2^31 - 1
    b"\xff\xff\xff\xff\x0f",  # -2^31
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # too long
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",  # 0, in ten bytes
    b"\x82\x80\x80\x80\x80\x00",  # 1, in six bytes
    b"\x80\x89\x7a",  # 10^6
    b"\x01\xff\x7f",  # a block of one item and -8192 bytes
    b"\x01\x00",  # a block of one item and no bytes
)


class Mutator:
    """Makes changed copies of a record, round after round.

    A copy lies at the end of a page, and what follows may not be read: one byte too many ends the process.

    Args:
        body: The record; not empty.
        seed: Of all that is random.
    """

    def __init__(self, body: bytes, seed: int) -> None:
        self._body = np.frombuffer(body, np.uint8)
        self._random = np.random.default_rng(seed)
        page = mmap.PAGESIZE
        room = -(-len(body) // page) * page
        count = max(1, min(SLOTS, SLOT_BYTES // room))
        memory = mmap.mmap(-1, count * (room + page))
        slots = np.frombuffer(memory, np.uint8).reshape(count, room + page)
        self._copies = slots[:, room - len(body) : room]
        self._copies[:] = self._body
        self._views = [memoryview(copy) for copy in self._copies]
        for slot in slots:
            _forbid(slot[room:])

    def rounds(self, packets: int) -> Iterator[list[memoryview]]:
        """Yield lists of changed copies, so many in all; a list is good until the next one is asked for."""
        while packets > 0:
            count = min(packets, len(self._views))
            packets -= count
            touched = [self._bytes(count), self._windows(count)]
            views, cut = self._cut(count)
            yield views
            for rows, columns in touched:
                self._copies[rows, columns] = self._body[columns]
            self._copies[cut] = self._body

    def _places(self, shape: tuple[int, ...], span: int) -> NDArray[np.int64]:
        """Return random positions before a span, half of them more often near the beginning."""
        part = self._random.random(shape)
        part = np.where(self._random.random(shape) < 0.5, part, (span**part - 1.0) / max(span - 1, 1))
        return np.minimum((part * span).astype(np.int64), span - 1)

    def _bytes(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Change some single bytes of each copy; returns where."""
        random, shape = self._random, (count, CHANGES)
        rows = np.arange(count)[:, None]
        columns = self._places(shape, len(self._body))
        old = self._body[columns]
        flipped = old ^ np.left_shift(1, random.integers(0, 8, shape)).astype(np.uint8)
        telling = TELLING[random.integers(0, len(TELLING), shape)]
        drawn = random.integers(0, 256, shape, np.uint8)
        new = np.choose(random.integers(0, 3, shape), [flipped, telling, drawn])
        few = np.arange(CHANGES) < random.integers(0, CHANGES + 1, (count, 1))
        self._copies[rows, columns] = np.where(few, new, old)
        return rows, columns

    def _windows(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Write long integers over some copies, and parts of the record elsewhere; returns where."""
        random = self._random
        window = np.frombuffer(LONGS[random.integers(len(LONGS))], np.uint8)
        if random.random() < 0.3:
            begin = int(self._places((1,), len(self._body))[0])
            window = self._body[begin : begin + int(random.integers(1, 40))]
        window = window[: len(self._body)]
        rows = np.flatnonzero(random.random(count) < 0.4)[:, None]
        begins = self._places(rows.shape, len(self._body) - len(window) + 1)
        columns = begins + np.arange(len(window))
        self._copies[rows, columns] = window
        return rows, columns

    def _cut(self, count: int) -> tuple[list[memoryview], np.ndarray]:
        """Return views of all copies, some of them cut, and which."""
        views, size = self._views[:count], len(self._body)
        cut = np.flatnonzero(self._random.random(count) < TRUNCATED)
        for row, length in zip(cut.tolist(), self._places(cut.shape, size).tolist(), strict=True):
            # What is left of it must end at the end of the page too.
            self._copies[row, size - length :] = self._copies[row, :length].copy()
            views[row] = views[row][size - length :]
        return views, cut


def _forbid(page: np.ndarray) -> None:
    """Make a page of memory unreadable."""
    libc = ctypes.CDLL(None, use_errno=True)
    none = 0
    if libc.mprotect(ctypes.c_void_p(page.ctypes.data), ctypes.c_size_t(page.nbytes), none) != 0:
        raise OSError(ctypes.get_errno(), "mprotect failed")
