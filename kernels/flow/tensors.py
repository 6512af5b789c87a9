# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the tensors that the operations of a flow step take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lowlat_nodes.kernels.arguments import check_array, dtype_name, is_tensor
from lowlat_nodes.kernels.errors import BadArgument

if TYPE_CHECKING:
    from torch import Tensor

FLOATS = ("float32", "float16", "bfloat16")
"""Dtypes of activations."""


def check_activations(name: str, tensor: Tensor) -> str:
    """Check activations of any shape, contiguous, and return their device.

    Raises:
        BadArgument: If they are not as expected.
    """
    _check_inference(name, tensor)
    return check_array(name, tensor, dtypes=FLOATS, shape=[None] * tensor.ndim)


def check_beside(
    name: str,
    tensor: Tensor,
    first: Tensor,
    shape: Sequence[int],
    *,
    dtypes: Sequence[str] | None = FLOATS,
    apart: bool = False,
) -> None:
    """Check a tensor that goes with one that was checked.

    Args:
        name: Of the argument.
        tensor: The argument.
        first: What was checked; the argument must be on the same device.
        shape: What it must have.
        dtypes: Those that are taken; None for that of `first`.
        apart: Whether its rows, of the last axis, may lie apart, as those of `chunk` do, or on one another,
            as those of `expand` do.

    Raises:
        BadArgument: If it is not as expected.
    """
    if (  # most are like the first, and then a close look would cost more than the launch
        type(tensor) is type(first)
        and tensor.shape == shape
        and tensor.dtype == first.dtype
        and (dtypes is None or dtypes is FLOATS)
        and (tensor.is_contiguous() or (apart and tensor.stride(-1) == 1))
        and tensor.device == first.device
        and not tensor.requires_grad
    ):
        return
    _check_inference(name, tensor)
    dtypes = (dtype_name(first),) if dtypes is None else dtypes
    check_array(name, tensor, dtypes=dtypes, shape=shape, contiguous=not apart)
    if apart and tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
        raise BadArgument(f"{name}: expected contiguous rows, got the strides {tensor.stride()}; copy it")
    if tensor.device != first.device:
        raise BadArgument(f"{name}: expected a tensor on {first.device}, got one on {tensor.device}")


def _check_inference(name: str, tensor: Any) -> None:
    """Refuse what is no tensor, and one whose gradient would be lost without a word."""
    if not is_tensor(tensor):
        raise BadArgument(f"{name}: expected a tensor of torch, got {type(tensor).__name__}")
    if tensor.requires_grad:
        import torch

        if torch.is_grad_enabled():
            raise BadArgument(f"{name}: has a gradient, and this is for inference; use torch.no_grad()")
