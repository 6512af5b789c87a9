# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the tensors that the operations of a flow step take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lowlat_nodes.kernels.arguments import check_array, is_tensor
from lowlat_nodes.kernels.errors import BadArgument

if TYPE_CHECKING:
    from torch import Tensor

FLOATS = ("float32", "float16", "bfloat16")
"""Dtypes of activations."""


def check_activations(
    name: str, tensor: Tensor, shape: Sequence[int] | None = None, *, dtype: str | None = None
) -> str:
    """Check activations [..., W], contiguous, and return their device.

    Args:
        name: Of the argument.
        tensor: The argument.
        shape: The one that it must have; None for any.
        dtype: The one that it must have; None for any of `FLOATS`.

    Raises:
        BadArgument: If they are not as expected.
    """
    _check_inference(name, tensor)
    if shape is None:
        if not tensor.ndim:
            raise BadArgument(f"{name}: expected at least one axis, got a scalar")
        shape = [None] * tensor.ndim  # type: ignore[list-item]
    return check_array(name, tensor, dtypes=FLOATS if dtype is None else (dtype,), shape=shape)


def check_condition(name: str, tensor: Tensor, sequences: Sequence[int], width: int) -> str:
    """Check what a condition says of each channel, one row [W] for each sequence, and return its device.

    Rows may be part of longer ones, as those of `chunk` are, and the same for all, as those of `expand` are.

    Raises:
        BadArgument: If it is not as expected.
    """
    _check_inference(name, tensor)
    device = check_array(name, tensor, dtypes=FLOATS, shape=[*sequences, width], contiguous=False)
    if tensor.stride(-1) != 1 and width > 1:
        raise BadArgument(
            f"{name}: expected contiguous rows, got the strides {tuple(tensor.stride())}; copy it"
        )
    return device


def _check_inference(name: str, tensor: Any) -> None:
    """Refuse what is no tensor, and one whose gradient would be lost without a word."""
    if not is_tensor(tensor):
        raise BadArgument(f"{name}: expected a tensor of torch, got {type(tensor).__name__}")
    if tensor.requires_grad:
        import torch

        if torch.is_grad_enabled():
            raise BadArgument(f"{name}: expected no gradient to be asked for; call it in torch.no_grad()")
