# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the transport sends: four sizes, from a pool that no cache holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Image

Pixels = NDArray[np.uint8]

_POOL_BYTES = 272 << 20
_STRIDE = 1_000_000  # at least, so that small arrays do not share pages


@dataclass(frozen=True)
class Case:
    """Messages of one size.

    Attributes:
        name: In the figures.
        shape: Of the array; with two dimensions or more it is an image.
        encoding: Of the image.
        rate_hz: How often one is sent.
        count: How many are measured in a turn.
    """

    name: str
    shape: tuple[int, ...]
    encoding: str
    rate_hz: float
    count: int

    @property
    def nbytes(self) -> int:
        """Return the bytes of a message's array."""
        return math.prod(self.shape)

    def payload(self, pixels: Pixels) -> Any:
        """Return what our transport sends."""
        return Image(pixels, self.encoding) if pixels.ndim > 1 else pixels


CASES = {
    case.name: case
    for case in (
        Case("100b", (100,), "mono8", 500.0, 200),
        Case("10kb", (10_000,), "mono8", 500.0, 100),
        Case("1mb", (1000, 1000), "mono8", 60.0, 40),
        Case("6mb", (1080, 1920, 3), "rgb8", 30.0, 24),
    )
}


class Pool:
    """Arrays of one case after another, from more memory than a core's caches hold.

    A driver writes somewhere else each time; a buffer that is sent again and again would be in the cache, and
    make every copy of it look cheaper than it is.
    """

    def __init__(self, nbytes: int = _POOL_BYTES) -> None:
        self._memory = np.empty(nbytes, np.uint8)
        self._memory[:] = np.resize(np.random.default_rng(1).integers(0, 256, 1 << 20, np.uint8), nbytes)

    def of(self, case: Case) -> Iterator[Pixels]:
        """Return arrays of that case for ever."""
        stride = max(case.nbytes, _STRIDE)
        while True:
            for begin in range(0, len(self._memory) - case.nbytes + 1, stride):
                yield self._memory[begin : begin + case.nbytes].reshape(case.shape)


def mark(pixels: Pixels, stamp_ns: int) -> None:
    """Write the stamp's last byte into the first and the last of an array."""
    flat = pixels.reshape(-1)
    flat[0] = flat[-1] = stamp_ns & 0xFF


def check(pixels: Pixels, stamp_ns: int) -> None:
    """Read the first and the last byte of what arrived.

    Raises:
        ValueError: If the array is not the one that was sent with that stamp.
    """
    expected = stamp_ns & 0xFF
    if pixels.item(0) != expected or pixels.item(-1) != expected:
        raise ValueError(f"expected {expected} at both ends, got {pixels.item(0)} and {pixels.item(-1)}")
