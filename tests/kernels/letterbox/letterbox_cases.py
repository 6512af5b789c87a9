# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Random calls of the letterbox, and outputs that show what was written beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.letterbox import Placement, Target
from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS

POISON = 0xAB
GUARD = 256  # bytes; a multiple of 16, by which the widest stores are aligned


@dataclass
class Call:
    """The arguments of a call."""

    target: Target
    images: list[NDArray[np.uint8]] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)

    def add(self, image: NDArray[np.uint8], encoding: str, placement: Placement) -> None:
        self.images.append(image)
        self.encodings.append(encoding)
        self.placements.append(placement)

    def arguments(self) -> tuple[Any, ...]:
        return self.images, self.encodings, self.placements, self.target


def image_of(rng: np.random.Generator, encoding: str, width: int, height: int) -> NDArray[np.uint8]:
    """Return a random image, read-only, whose rows lie apart."""
    known = ENCODINGS[encoding]
    if known.luma is not None:
        width += width % 2
    if known.planes:
        height = (height + height % 2) * 3 // 2
    padding = int(rng.integers(0, 4))
    pixel = (known.channels,) if known.channels > 1 else ()
    wide = rng.integers(0, 256, (height + 1, width + padding, *pixel), dtype=np.uint8)
    wide.flags.writeable = False
    return wide[1:, :width]


def target_of(rng: np.random.Generator, dtype: str, largest: int) -> Target:
    """Return a random target."""
    width, height = (int(size) for size in rng.integers(3, largest, 2))
    if rng.integers(2):
        width += -width % 16  # as most networks have it, and other stores
    mean, std = rng.uniform(0, 255, 3), rng.uniform(20, 300, 3) * rng.choice([-1, 1], 3)
    return Target(
        height,
        width,
        dtype,
        str(rng.choice(["rgb", "bgr"])),
        tuple(mean.tolist()),
        tuple(std.tolist()),
        float(rng.integers(0, 256)),
        float(rng.uniform(0.005, 0.05)),
        int(rng.integers(-20, 20)),
    )


def random_call(seed: int, dtype: str, *, count: int, largest: int, of: int = 120) -> Call:
    """Return a call with images of every encoding in turn, in places of any size.

    Args:
        seed: Of the numbers.
        dtype: Of the target.
        count: How many images.
        largest: The target's width and height are below.
        of: So are those of the images.
    """
    rng, names = np.random.default_rng(seed), list(ENCODINGS)
    call = Call(target_of(rng, dtype, largest))
    for number in range(count):
        encoding = names[(seed + number) % len(names)]
        width, height = (int(size) for size in rng.integers(3, of, 2))
        left, top = (int(rng.integers(0, size)) for size in (call.target.width, call.target.height))
        placed = (
            int(rng.integers(1, call.target.width - left + 1)),
            int(rng.integers(1, call.target.height - top + 1)),
        )
        call.add(image_of(rng, encoding, width, height), encoding, (left, top, *placed))
    return call


class Guarded:
    """An output amid bytes that must stay as they are."""

    def __init__(self, call: Call) -> None:
        self._shape = (len(call.images), 3, call.target.height, call.target.width)
        dtype = np.dtype(call.target.dtype)
        size = int(np.prod(self._shape)) * dtype.itemsize
        self._memory = np.full(size + 2 * GUARD, POISON, np.uint8)
        self.out: NDArray[Any] = self._memory[GUARD : GUARD + size].view(dtype).reshape(self._shape)

    def assert_guards(self) -> None:
        assert (self._memory[:GUARD] == POISON).all()
        assert (self._memory[-GUARD:] == POISON).all()

    def assert_untouched(self) -> None:
        assert (self._memory == POISON).all()


def tolerance(target: Target, pixel: float) -> NDArray[np.float64]:
    """Return how far values may be from the reference, [3, 1, 1], if a pixel may be off by `pixel`."""
    # Beside the pixel: one rounding of a float16, of sums of float32, or to whole steps.
    largest = np.abs(target.offset) + 255 * np.abs(target.gain)
    rounding = {"float16": largest * 2.0**-11, "float32": largest * 2.0**-22, "int8": 1.0}[target.dtype]
    return np.reshape(np.abs(target.gain) * pixel + rounding, (3, 1, 1))
