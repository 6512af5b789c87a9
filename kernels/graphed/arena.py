# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Several tensors in one piece of memory, so that one copy moves them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowlat_nodes.kernels.graphed.inputs import Array

_ALIGNED = 256
"""Bytes: what torch aligns tensors of their own to, and some kernels count on."""


@dataclass(frozen=True, slots=True)
class _Place:
    dtype: Any
    shape: tuple[int, ...]
    begin: int
    end: int


class Layout:
    """Where each tensor lies.

    Args:
        tensors: The torch dtype and the shape of each.

    Attributes:
        size: Bytes of all together; at least 1.
    """

    def __init__(self, tensors: Mapping[str, tuple[Any, tuple[int, ...]]]) -> None:
        self._places: dict[str, _Place] = {}
        begin = 0
        for name, (dtype, shape) in tensors.items():
            end = begin + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            self._places[name] = _Place(dtype, tuple(shape), begin, end)
            begin = -(-end // _ALIGNED) * _ALIGNED
        self.size = max(begin, 1)

    def views(self, memory: Tensor) -> dict[str, Tensor]:
        """Return the tensors in uint8 memory of `size` elements."""
        return {
            name: memory[place.begin : place.end].view(place.dtype).view(place.shape)
            for name, place in self._places.items()
        }


def write(view: Tensor, array: Array, fill: float) -> None:
    """Copy an array into a view that is as large or larger, and fill the rest.

    Neither contiguous nor writable arrays are needed. Where both are on a GPU, the copy is only submitted.
    """
    shape = tuple(array.shape)
    if shape != tuple(view.shape):
        view.fill_(fill)
        view = view[tuple(map(slice, shape))]
    if isinstance(array, np.ndarray):
        np.copyto(view.numpy(), array)
    else:
        view.copy_(array, non_blocking=array.is_cuda)


def tensor_of(array: Array) -> Tensor:
    """Return an array as a tensor, which shares its memory where torch may write to it."""
    if not isinstance(array, np.ndarray):
        tensor: Tensor = array
        return tensor
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
