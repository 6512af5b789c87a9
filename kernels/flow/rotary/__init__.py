# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions of queries and keys, on their way from a projection into an attention and its cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow.tensors import check_activations, check_beside
from lowlat_nodes.kernels.registry import of, op

if TYPE_CHECKING:
    from torch import Tensor


@op(
    "rotary",
    ref=of("reference", needs="torch"),
    cpu=[of("cpu", needs="torch")],
    cuda=of("cuda", needs="torch triton"),
)
def rotary(
    projected: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, *, out: Tensor | None = None
) -> str:
    """Write keys, turned by their positions, and values into a cache; return the queries, turned as well.

    Channel d of a head turns with channel d + D / 2 (Su et al. 2021, arXiv 2104.09864, as Gemma pairs them).

    Args:
        projected: Of each token all queries, then the keys, then the values, [B, T, (H + 2 K) D] for H heads
            that share K keys: float32, float16 or bfloat16.
        cos: Of the angle of each position and pair of channels [T, D / 2].
        sin: Like `cos`.
        keys: Where to write [B, K, T, D], of the dtype of `projected`; rows may lie apart, as those of a
            slice of a cache do, but not on one another.
        values: Like `keys`.
        out: Where to write the queries [B, H, T, D], of the same dtype; made if None.

    Raises:
        BadArgument: If an argument is not as expected.
    """
    device = check_activations("projected", projected)
    if projected.ndim != 3:
        raise BadArgument(f"projected: expected the shape [B, T, (H + 2 K) D], got {list(projected.shape)}")
    if keys.ndim != 4:
        raise BadArgument(f"keys: expected the shape [B, K, T, D], got {list(keys.shape)}")
    batch, length, width = projected.shape
    _, shared, _, size = keys.shape
    for name, rows in {"keys": keys, "values": values}.items():
        check_beside(name, rows, projected, (batch, shared, length, size), dtypes=None, apart=True)
    heads = width // size - 2 * shared
    if width % size or size % 2 or heads < 1:
        raise BadArgument(
            f"projected: expected queries and {shared} keys and values of {size} channels, an even number; "
            f"got {width} channels in all"
        )
    check_beside("cos", cos, projected, (length, size // 2))
    check_beside("sin", sin, projected, (length, size // 2))
    if out is not None:
        check_beside("out", out, projected, (batch, heads, length, size), dtypes=None)
    return device
