# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The gated sum and the adaptive RMS norm in one launch: a program for each token, which it reads once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.launching import beside

_CHANNELS_PER_WARP = 256  # 8 to a thread: one load of 16 bytes where they have 2
_MOST_WARPS = 8


@triton.jit  # type: ignore[untyped-decorator]
def _normalise(
    x: tl.tensor,
    residual: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    gate: tl.tensor,
    total: tl.tensor,
    out: tl.tensor,
    eps: tl.tensor,
    rows: tl.tensor,
    width: tl.tensor,
    scale_stride: tl.tensor,
    shift_stride: tl.tensor,
    gate_stride: tl.tensor,
    block: tl.constexpr,
) -> None:
    token = tl.program_id(0)
    sequence = (token // rows).to(tl.int64)  # strides may lead beyond int32
    channel = tl.arange(0, block)
    inside = channel < width
    at = token.to(tl.int64) * width + channel
    summed = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if residual is not None:
        added = tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
        if gate is not None:
            added *= tl.load(gate + sequence * gate_stride + channel, mask=inside, other=0.0).to(tl.float32)
        rounded = (summed + added).to(total.dtype.element_ty)
        tl.store(total + at, rounded, mask=inside)
        summed = rounded.to(tl.float32)  # what is normalised is what the next layer adds to
    factor = 1.0 + tl.load(scale + sequence * scale_stride + channel, mask=inside, other=0.0).to(tl.float32)
    result = summed * tl.rsqrt(tl.sum(summed * summed, axis=0) / width + eps) * factor
    if shift is not None:
        result += tl.load(shift + sequence * shift_stride + channel, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


def run(
    x: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    gate: Tensor | None = None,
    eps: float = 1e-6,
    total: Tensor | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the sum and the normalised tokens."""
    out = torch.empty_like(x) if out is None else out
    if residual is None:
        total = x
    elif total is None:
        total = torch.empty_like(x)
    rows, width = x.shape[-2:]
    scale, shift, gate = (_rows(each) for each in (scale, shift, gate))
    block = triton.next_power_of_2(width)
    with beside(x):
        _normalise[(x.numel() // width,)](
            x,
            residual,
            scale,
            shift,
            gate,
            total,
            out,
            eps,
            rows,
            width,
            scale.stride(0),
            0 if shift is None else shift.stride(0),
            0 if gate is None else gate.stride(0),
            block=block,
            num_warps=_warps(block),
        )
    return total, out


def _rows(condition: Tensor | None) -> Tensor | None:
    """Return a condition as [sequences, W]; a view wherever its rows lie evenly."""
    return None if condition is None else condition.reshape(-1, condition.shape[-1])


def _warps(block: int) -> int:
    return min(max(block // _CHANNELS_PER_WARP, 1), _MOST_WARPS)


def _compilation(
    width: int, dtype: str, condition: str, *, adaptive: bool, first: bool = False
) -> Compilation:
    """Return that of a width; `first` is that of the first layer, where there is no residual."""
    needed = {"scale": f"*{condition}", "out": f"*{dtype}", "x": f"*{dtype}"}
    optional = {
        "residual": None if first else f"*{dtype}",
        "total": f"*{dtype}",
        "shift": f"*{condition}" if adaptive else None,
        "gate": f"*{condition}" if adaptive and not first else None,
    }
    pointers = needed | {name: kind for name, kind in optional.items() if kind is not None}
    numbers = {"rows": "i32", "width": "i32", "eps": "fp32"}
    strides = dict.fromkeys(("scale_stride", "shift_stride", "gate_stride"), "i32")
    block = triton.next_power_of_2(width)
    return Compilation(
        _normalise,
        pointers | numbers | strides,
        {"block": block} | dict.fromkeys(name for name, kind in optional.items() if kind is None),
        {"num_warps": _warps(block)},
        (*pointers, *(() if width % 16 else (*strides, "width"))),
    )


COMPILATIONS = (
    _compilation(64, "fp32", "fp32", adaptive=True),
    _compilation(1024, "bf16", "bf16", adaptive=True, first=True),
    _compilation(1024, "bf16", "bf16", adaptive=True),
    _compilation(2048, "bf16", "bf16", adaptive=False),
    _compilation(4096, "fp16", "fp16", adaptive=True),
    _compilation(4096, "fp32", "fp32", adaptive=True),
    _compilation(4095, "fp32", "fp32", adaptive=True),
)
