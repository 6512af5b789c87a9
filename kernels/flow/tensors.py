# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the tensors that the operations of a flow step take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lowlat_nodes.kernels.arguments import check_array, device_of, is_tensor
from lowlat_nodes.kernels.errors import BadArgument

if TYPE_CHECKING:
    from torch import Tensor

FLOATS = ("float32", "float16", "bfloat16")
"""Dtypes of activations."""


def check_activations(
    name: str, tensor: Tensor, shape: Sequence[int] | None = None, *, dtype: str | None = None
) -> None:
    """Check activations [..., W], contiguous.

    Args:
        name: Of the argument.
        tensor: The argument.
        shape: The one that it must have; None for any.
        dtype: The one that it must have; None for any of `FLOATS`.

    Raises:
        BadArgument: If they are not as expected.
    """
    _check_inference(name, tensor)
    sizes: Sequence[int | None] = [None] * tensor.ndim if shape is None else shape
    check_array(name, tensor, dtypes=FLOATS if dtype is None else (dtype,), shape=sizes)


def check_condition(name: str, tensor: Tensor, sequences: Sequence[int], width: int) -> None:
    """Check what a condition says of each channel, one row [W] for each sequence.

    Rows may be part of longer ones, as those of `chunk` are, and the same for all, as those of `expand` are.

    Raises:
        BadArgument: If it is not as expected.
    """
    _check_inference(name, tensor)
    check_array(name, tensor, dtypes=FLOATS, shape=[*sequences, width], contiguous=False)
    if tensor.stride(-1) != 1 and width > 1:
        raise BadArgument(f"{name}: expected contiguous rows, got the strides {tensor.stride()}; copy it")


def device_of_all(tensors: Mapping[str, Tensor | None]) -> str:
    """Return `cpu` or `cuda`, where all tensors are that there are.

    Raises:
        BadArgument: If they are on several devices, of which two GPUs are two.
    """
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    first_name, first = next(iter(given.items()))
    for name, tensor in given.items():
        if tensor.device != first.device:
            raise BadArgument(
                f"{name}: expected a tensor on {first.device}, as {first_name} is, got one on {tensor.device}"
            )
    return device_of(first_name, first)


def _check_inference(name: str, tensor: Any) -> None:
    """Refuse what is no tensor, and one whose gradient would be lost without a word."""
    if not is_tensor(tensor):
        raise BadArgument(f"{name}: expected a tensor of torch, got {type(tensor).__name__}")
    if tensor.requires_grad:
        import torch

        if torch.is_grad_enabled():
            raise BadArgument(f"{name}: has a gradient, and this is for inference; use torch.no_grad()")
