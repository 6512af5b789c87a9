# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of arrays before anything is launched. They cost about a microsecond each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from lowlat_nodes.kernels.errors import BadArgument

MOST_ELEMENTS = (1 << 31) - 1
"""Of an array: kernels count in int32."""

_TORCH = "torch"


def is_tensor(array: object) -> bool:
    """Return whether an array is one of torch, without importing torch."""
    return type(array).__module__.partition(".")[0] == _TORCH


def device_of(name: str, array: Any) -> str:
    """Return `cpu` or `cuda`.

    Raises:
        BadArgument: If it is no array, or on another device.
    """
    if isinstance(array, np.ndarray):
        return "cpu"
    if is_tensor(array):
        device: str = array.device.type
        if device in {"cpu", "cuda"}:
            return device
        raise BadArgument(f"{name}: expected a tensor on the CPU or an NVIDIA GPU, got one on {device!r}")
    raise BadArgument(f"{name}: expected an array of NumPy or torch, got {type(array).__name__}")


def dtype_name(array: Any) -> str:
    """Return the dtype as NumPy calls it; of torch's own ones as torch does, such as bfloat16."""
    return _name(array.dtype)


@functools.lru_cache(maxsize=64)
def _name(dtype: Any) -> str:
    # There are few, and NumPy takes 2 us to say which one it is.
    return str(dtype).removeprefix("torch.")


def check_array(
    name: str,
    array: Any,
    *,
    dtypes: Sequence[str],
    shape: Sequence[int | None],
    contiguous: bool = True,
    empty: bool = False,
) -> str:
    """Check one array and return its device.

    Args:
        name: Of the argument.
        array: Of NumPy or torch.
        dtypes: Those that are taken.
        shape: The sizes; None for any.
        contiguous: Whether the elements must lie one after another.
        empty: Whether a size may be 0.

    Raises:
        BadArgument: If it is not as expected.
    """
    device = device_of(name, array)
    dtype = dtype_name(array)
    if dtype not in dtypes:
        raise BadArgument(f"{name}: expected {' or '.join(dtypes)}, got {dtype}")
    found = tuple(array.shape)
    if len(found) != len(shape) or any(
        want is not None and size != want for size, want in zip(found, shape, strict=True)
    ):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise BadArgument(f"{name}: expected the shape [{wanted}], got {list(found)}")
    elements = 1
    for size in found:
        elements *= size
    if not elements and not empty:
        raise BadArgument(f"{name}: expected at least one element, got the shape {list(found)}")
    if elements > MOST_ELEMENTS:
        raise BadArgument(f"{name}: expected at most {MOST_ELEMENTS} elements, got {elements}")
    if contiguous and not _contiguous(array):
        raise BadArgument(f"{name}: expected contiguous elements, got the strides {_strides(array)}; copy it")
    return device


def same_device(devices: dict[str, str]) -> str:
    """Return the one device of all arguments.

    Raises:
        BadArgument: If there are several.
    """
    if len(set(devices.values())) > 1:
        listed = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise BadArgument(f"expected all arrays on one device, got {listed}")
    return next(iter(devices.values()))


def _contiguous(array: Any) -> bool:
    contiguous: bool = array.flags.c_contiguous if isinstance(array, np.ndarray) else array.is_contiguous()
    return contiguous


def _strides(array: Any) -> tuple[int, ...]:
    return tuple(array.strides if isinstance(array, np.ndarray) else array.stride())
