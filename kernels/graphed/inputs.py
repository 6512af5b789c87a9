# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy takes: dtypes, sizes, and which sizes may differ from call to call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS, device_of, dtype_name
from lowlat_nodes.kernels.errors import BadArgument

Array: TypeAlias = Any
"""An array of NumPy, or a tensor of torch on the CPU or a GPU."""

DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip

MOST_HOST_ELEMENTS = 64
"""Of an input that stays on the host: all its values are part of what tells graphs apart."""


@dataclass(frozen=True)
class Input:
    """One input of a policy.

    Attributes:
        dtype: As torch and NumPy call it, such as `float32`, `bfloat16` (torch alone), `uint8`.
        shape: Sizes; a name in place of one: an axis whose size may differ from call to call, and is the same
            in all inputs that name it.
        fill: What elements are set to that padding adds.
        on_host: Whether it stays on the CPU because the policy reads its values there, such as a number of
            steps: each value then has a graph of its own. At most 64 elements of fixed shape.

    Raises:
        BadArgument: If these do not make an input.
    """

    dtype: str
    shape: tuple[int | str, ...]
    fill: float = 0.0
    on_host: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise BadArgument(f"expected a dtype of {', '.join(DTYPES)}, got {self.dtype!r}")
        if not all(isinstance(size, str) or size > 0 for size in self.shape):
            raise BadArgument(f"expected sizes of 1 or more, or names, got {list(self.shape)}")
        if self.on_host and (self.axes or math.prod(self.sized({})) > MOST_HOST_ELEMENTS):
            raise BadArgument(
                f"expected at most {MOST_HOST_ELEMENTS} elements of fixed sizes on the host, got "
                f"{list(self.shape)}"
            )

    @property
    def axes(self) -> tuple[str, ...]:
        """Return the names among the sizes."""
        return tuple(size for size in self.shape if isinstance(size, str))

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape where axes have these sizes."""
        return tuple(sizes[size] if isinstance(size, str) else size for size in self.shape)


def like(name: str, array: Array) -> Input:
    """Return the input that takes arrays of the same dtype and shape.

    Raises:
        BadArgument: If it is no array, is empty, or is of a dtype that none takes.
    """
    device_of(name, array)
    try:
        return Input(dtype_name(array), tuple(array.shape))
    except BadArgument as error:
        raise BadArgument(f"{name}: {error}") from error


class Inputs:
    """All inputs of a policy by name, and the check of what is given for them.

    Args:
        declared: What is known of them.

    Attributes:
        axes: The names of sizes that may differ, each once.
        on_device: The inputs that go to the device.
        on_host: Those that do not.

    Raises:
        BadArgument: If there are none.
    """

    def __init__(self, declared: Mapping[str, Input]) -> None:
        if not declared:
            raise BadArgument("expected at least one input, got none")
        self.declared = dict(declared)
        self.axes = tuple(dict.fromkeys(axis for item in declared.values() for axis in item.axes))
        self.on_device = {name: item for name, item in declared.items() if not item.on_host}
        self.on_host = {name: item for name, item in declared.items() if item.on_host}
        if not self.on_device:
            raise BadArgument(f"expected an input that goes to the device, got only {', '.join(declared)}")

    def check(self, given: Mapping[str, Array]) -> dict[str, int]:
        """Return the size of each axis.

        Raises:
            BadArgument: If an array is missing or unknown, has another dtype, rank or size, or a size of 0.
        """
        if given.keys() != self.declared.keys():
            missing = [name for name in self.declared if name not in given]
            unknown = [name for name in given if name not in self.declared]
            raise BadArgument(
                f"expected the inputs {', '.join(self.declared)}; missing: {', '.join(missing) or 'none'}, "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        sizes: dict[str, int] = {}
        for name, item in self.declared.items():
            _check(name, item, given[name], sizes)
        return sizes


def _check(name: str, item: Input, array: Array, sizes: dict[str, int]) -> None:
    """Check one array, and add the sizes of its axes to those that are known."""
    device = device_of(name, array)
    if item.on_host and device != "cpu":
        raise BadArgument(f"{name}: expected it on the host, where its values are read, got it on {device}")
    if dtype_name(array) != item.dtype:
        raise BadArgument(f"{name}: expected {item.dtype}, got {dtype_name(array)}; convert it")
    found = tuple(array.shape)
    if found == item.shape:
        return
    if len(found) != len(item.shape):
        raise BadArgument(f"{name}: expected the shape {_words(item.shape)}, got {list(found)}")
    elements = 1
    for want, size in zip(item.shape, found, strict=True):
        elements *= size
        if isinstance(want, str):
            known = sizes.setdefault(want, size)
            if size != known:
                raise BadArgument(f"{name}: expected {known} for {want}, as before it, got {list(found)}")
        elif size != want:
            raise BadArgument(f"{name}: expected the shape {_words(item.shape)}, got {list(found)}")
    if not elements or elements > MOST_ELEMENTS:
        raise BadArgument(f"{name}: expected 1 to {MOST_ELEMENTS} elements, got the shape {list(found)}")


def _words(shape: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
