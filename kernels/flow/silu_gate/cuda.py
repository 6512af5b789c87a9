# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The gate in one launch: a program for each block of channels of a token."""

from __future__ import annotations

from typing import Literal

import triton
import triton.language as tl
from torch import Tensor

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.launching import beside

_MOST_BLOCK = 1024
_CHANNELS_PER_WARP = 256


@triton.jit  # type: ignore[untyped-decorator]
def _gate(
    projected: tl.tensor,
    out: tl.tensor,
    width: tl.tensor,
    blocks: tl.tensor,
    gelu: tl.constexpr,
    block: tl.constexpr,
) -> None:
    program = tl.program_id(0)
    token = (program // blocks).to(tl.int64)
    channel = program % blocks * block + tl.arange(0, block)
    inside = channel < width
    first = projected + token * (2 * width)
    a = tl.load(first + channel, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(first + width + channel, mask=inside, other=0.0).to(tl.float32)
    slope = a
    if gelu:  # (1 + tanh(z)) / 2 is sigmoid(2 z)
        slope = 1.5957691216057308 * (a + 0.044715 * a * a * a)
    result = a * tl.sigmoid(slope) * b
    tl.store(out + token * width + channel, result.to(out.dtype.element_ty), mask=inside)


def run(
    projected: Tensor, *, activation: Literal["silu", "gelu_tanh"] = "silu", out: Tensor | None = None
) -> Tensor:
    """Return the gated half."""
    *rows, both = projected.shape
    width = both // 2
    out = projected.new_empty((*rows, width)) if out is None else out
    block = _block(width)
    blocks = triton.cdiv(width, block)
    with beside(projected):
        _gate[(out.numel() // width * blocks,)](
            projected,
            out,
            width,
            blocks,
            gelu=activation == "gelu_tanh",
            block=block,
            num_warps=_warps(block),
        )
    return out


def _block(width: int) -> int:
    return min(int(triton.next_power_of_2(width)), _MOST_BLOCK)


def _warps(block: int) -> int:
    return max(block // _CHANNELS_PER_WARP, 1)


def _compilation(width: int, dtype: str, *, gelu: bool) -> Compilation:
    pointers = {"projected": f"*{dtype}", "out": f"*{dtype}"}
    block = _block(width)
    return Compilation(
        _gate,
        pointers | {"width": "i32", "blocks": "i32"},
        {"gelu": gelu, "block": block},
        {"num_warps": _warps(block)},
        (*pointers, "width"),
    )


COMPILATIONS = (
    _compilation(128, "fp32", gelu=False),
    _compilation(4096, "bf16", gelu=True),
    _compilation(4096, "fp16", gelu=False),
)
