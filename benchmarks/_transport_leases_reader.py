# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that holds frames in shared memory for random times and compares them before and after.

It takes the newest frame of which it is told on an inherited socket, and ends with one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.abandoned import FOLDER
from lowlat_nodes.transport.shm.errors import Overwritten, SegmentGone
from lowlat_nodes.transport.shm.layout import PAGE, parse_header, slot_at
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.reader import Reader

_HELD = 5  # two readers can hold more than there are slots
_MEAN_HOLD_S = 0.0005
_PATIENCE_S = 1.0
_NOTE_BYTES = 1 << 10
_WAITING = 64


class _BareReader:
    """Reads slots without a lease."""

    def __init__(self) -> None:
        self._memory: dict[str, tuple[NDArray[np.uint8], int]] = {}

    def lease(self, place: Place, sizes: Sequence[int]) -> list[NDArray[np.uint8]]:
        if place.segment not in self._memory:
            memory = np.memmap(FOLDER / place.segment, np.uint8, mode="r")
            self._memory[place.segment] = (
                memory,
                parse_header(memory[:PAGE].tobytes(), memory.size).slot_bytes,
            )
        memory, slot_bytes = self._memory[place.segment]
        begin = slot_at(place.slot, slot_bytes) + place.offsets[0]
        return [memory[begin : begin + sizes[0]]]


def main(argv: Sequence[str] | None = None) -> int:
    descriptor, kind, frames, seed = sys.argv[1:] if argv is None else argv
    link = socket.socket(fileno=int(descriptor))
    link.setblocking(False)
    reader = Reader() if kind == "leased" else _BareReader()
    print(json.dumps(_read(link, reader, int(frames), random.Random(seed))))
    return 0


@dataclass
class _Held:
    """A frame that is held until some time."""

    until: float
    number: int
    frame: NDArray[np.uint64]
    torn: bool


def _read(
    link: socket.socket, reader: Reader | _BareReader, frames: int, chance: random.Random
) -> dict[str, int]:
    held: list[_Held] = []
    found = {"frames": 0, "torn": 0, "overwritten": 0}
    while found["frames"] < frames:
        now = time.monotonic()
        while held and held[0].until <= now:
            first = held.pop(0)
            found["torn"] += first.torn or bool((first.frame != first.number).any())
            found["frames"] += 1
            del first
        if len(held) >= _HELD:
            time.sleep(held[0].until - now)
            continue
        note = _newest(link, held[0].until - now if held else _PATIENCE_S)
        if note is None:
            continue
        number, size, place = note
        try:
            (view,) = reader.lease(place, [size])
        except (Overwritten, SegmentGone):
            found["overwritten"] += 1
            continue
        frame = np.frombuffer(view, np.uint64)
        until = time.monotonic() + chance.expovariate(1 / _MEAN_HOLD_S)
        held.append(_Held(until, number, frame, bool((frame != number).any())))
        held.sort(key=lambda each: each.until)
        del view, frame
    return found


def _newest(link: socket.socket, patience_s: float) -> tuple[int, int, Place] | None:
    """Return the newest note; None if there is none in time."""
    if not select.select([link], [], [], patience_s)[0]:
        return None
    note = link.recv(_NOTE_BYTES)
    with contextlib.suppress(BlockingIOError):
        for _ in range(_WAITING):  # the writer may be faster than this loop
            note = link.recv(_NOTE_BYTES)
    if not note:
        raise SystemExit("the writer has ended")
    told: tuple[int, int, list[Any]] = json.loads(note)
    number, size, (segment, slot, generation, offsets) = told
    return number, size, Place(segment, slot, generation, tuple(offsets))


if __name__ == "__main__":
    raise SystemExit(main())
