# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""RMS normalisation whose scale and shift a condition sets, after a gated residual sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow.tensors import check_activations, check_beside
from lowlat_nodes.kernels.registry import of, op

if TYPE_CHECKING:
    from torch import Tensor

MOST_CHANNELS = 4096
"""Of a row: the kernel holds one in registers."""


@op(
    "ada_rms",
    ref=of("reference", needs="torch"),
    cpu=[of("cpu", needs="torch")],
    cuda=of("cuda", needs="torch triton"),
)
def ada_rms(
    x: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    gate: Tensor | None = None,
    eps: float = 1e-6,
    total: Tensor | None = None,
    out: Tensor | None = None,
) -> str:
    """Return `s = x + gate * residual` and `s / sqrt(mean(s^2) + eps) * (1 + scale) + shift`.

    The norm is that of Zhang and Sennrich (2019, arXiv 1910.07467), its modulation that of Peebles and Xie
    (2022, arXiv 2212.09748), as the action expert of pi0.5 has it. Without `residual` the sum is `x` itself.

    Args:
        x: Tokens [..., T, W], W at most 4096: float32, float16 or bfloat16, as are all others.
        scale: Of each channel [..., W], a row for each sequence; rows may lie apart, or be one and the same.
        shift: Like `scale`; none if None.
        residual: What to add, of the shape of `x`.
        gate: Of the residual, like `scale`; 1 if None.
        eps: What keeps the root from 0; positive.
        total: Where to write the sum, like `x`, which it may be; made if None.
        out: Where to write the normalised tokens, like `x`; not where the sum is.

    Raises:
        BadArgument: If an argument is not as expected.
    """
    device = check_activations("x", x)
    if x.ndim < 2 or x.shape[-1] > MOST_CHANNELS:
        raise BadArgument(f"x: expected the shape [..., T, W], W <= {MOST_CHANNELS}, got {list(x.shape)}")
    if not eps > 0.0:
        raise BadArgument(f"eps: expected a positive number, got {eps}")
    *sequences, _, width = x.shape
    for name, condition in {"scale": scale, "shift": shift, "gate": gate}.items():
        if condition is not None:
            check_beside(name, condition, x, (*sequences, width), apart=True)
    if residual is not None:
        check_beside("residual", residual, x, x.shape)
    elif gate is not None or total is not None:
        raise BadArgument("gate, total: expected a residual with them, got none")
    for name, result in {"total": total, "out": out}.items():
        if result is not None:
            check_beside(name, result, x, x.shape, dtypes=None)
    summed = x if residual is None else total
    if out is not None and summed is not None and out.data_ptr() == summed.data_ptr():
        raise BadArgument("out: expected another tensor than that of the sum")
    return device
