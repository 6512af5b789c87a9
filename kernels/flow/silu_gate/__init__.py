# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The gate of a gated perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow.tensors import check_activations, check_beside
from lowlat_nodes.kernels.registry import of, op

if TYPE_CHECKING:
    from torch import Tensor

ACTIVATIONS = ("silu", "gelu_tanh")


@op(
    "silu_gate",
    ref=of("reference", needs="torch"),
    cpu=[of("cpu", needs="torch")],
    cuda=of("cuda", needs="torch triton"),
)
def silu_gate(
    projected: Tensor, *, activation: Literal["silu", "gelu_tanh"] = "silu", out: Tensor | None = None
) -> str:
    """Return `activation(a) * b` of a projection whose first half is `a` and the second `b`.

    This is what is between the two products of a gated perceptron (Shazeer 2020, arXiv 2002.05202): with SiLU
    in Llama and most of those after it, with GELU by its tanh formula in Gemma and so in pi0.

    Args:
        projected: [..., 2 F]: float32, float16 or bfloat16.
        activation: `silu` or `gelu_tanh`.
        out: Where to write [..., F], of the same dtype; made if None.

    Raises:
        BadArgument: If an argument is not as expected.
    """
    device = check_activations("projected", projected)
    if not projected.ndim or projected.shape[-1] % 2:
        raise BadArgument(f"projected: expected the shape [..., 2 F], got {list(projected.shape)}")
    if activation not in ACTIVATIONS:
        raise BadArgument(f"activation: expected {' or '.join(ACTIVATIONS)}, got {activation!r}")
    if out is not None:
        half = (*projected.shape[:-1], projected.shape[-1] // 2)
        check_beside("out", out, projected, half, dtypes=None)
    return device
