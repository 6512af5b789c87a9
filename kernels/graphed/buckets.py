# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which inputs share a graph: sizes rounded up to declared ones, and the values that are read on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.inputs import Array, Inputs


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one graph takes.

    Attributes:
        sizes: Name and size of each axis, padded.
        values: The bytes of each input that stays on the host.
    """

    sizes: tuple[tuple[str, int], ...]
    values: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        words = [f"{name} {size}" for name, size in self.sizes]
        words += [f"value {value.hex()}" for value in self.values]
        return ", ".join(words) or "the one shape"


class Buckets:
    """Tells the bucket of some inputs.

    Args:
        inputs: What is taken.
        sizes: For axes that are padded: the sizes that they may have then, in any order.

    Raises:
        BadArgument: If an axis is in no input, or has no sizes of 1 or more.
    """

    def __init__(self, inputs: Inputs, sizes: Mapping[str, Sequence[int]]) -> None:
        for axis, steps in sizes.items():
            if axis not in inputs.axes:
                known = ", ".join(inputs.axes) or "there is none"
                raise BadArgument(f"sizes: expected an axis that an input names ({known}), got {axis!r}")
            if not steps or min(steps) < 1:
                raise BadArgument(f"{axis}: expected sizes of 1 or more, got {list(steps)}")
        self._inputs = inputs
        self._sizes = {axis: tuple(sorted(set(steps))) for axis, steps in sizes.items()}

    def of(self, sizes: Mapping[str, int], given: Mapping[str, Array]) -> Bucket | None:
        """Return the smallest bucket that holds axes of these sizes; None if one is beyond its largest."""
        padded = []
        for axis in self._inputs.axes:
            size = self._padded(axis, sizes[axis])
            if size is None:
                return None
            padded.append((axis, size))
        return Bucket(tuple(padded), tuple(_bytes(given[name]) for name in self._inputs.on_host))

    def beyond(self, sizes: Mapping[str, int]) -> str:
        """Return in words which axes are larger than their largest declared size."""
        return ", ".join(
            f"{axis} {sizes[axis]} > {steps[-1]}"
            for axis, steps in self._sizes.items()
            if sizes[axis] > steps[-1]
        )

    def _padded(self, axis: str, size: int) -> int | None:
        steps = self._sizes.get(axis)
        if steps is None:
            return size
        return next((step for step in steps if step >= size), None)


def _bytes(array: Array) -> bytes:
    if isinstance(array, Tensor):
        array = array.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    return np.ascontiguousarray(array).tobytes()
