# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The Euler step in one launch: a program for each block of numbers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.launching import beside

_BLOCK = 512
_WARPS = 4


@triton.jit  # type: ignore[untyped-decorator]
def _step(
    x: tl.tensor,
    prediction: tl.tensor,
    decided: tl.tensor,
    decided_rows: tl.tensor,
    out: tl.tensor,
    step_size: tl.tensor,
    elements: tl.tensor,
    width: tl.tensor,
    rows: tl.tensor,
    clean: tl.constexpr,
    block: tl.constexpr,
) -> None:
    at = tl.program_id(0) * block + tl.arange(0, block)  # int32 holds it: whole blocks make 2^31 elements
    inside = at < elements
    start = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    towards = tl.load(prediction + at, mask=inside, other=0.0).to(tl.float32)
    if clean:
        towards -= start
    result = start + step_size * towards
    if decided is not None:
        row = at // width
        known = tl.load(decided_rows + row // rows, mask=inside, other=0)
        keep = inside & (row % rows < known)
        kept = tl.load(decided + at, mask=keep, other=0.0).to(tl.float32)
        result = tl.where(keep, kept, result)
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


def run(
    x: Tensor,
    prediction: Tensor,
    step_size: float,
    *,
    clean: bool = False,
    decided: Tensor | None = None,
    decided_rows: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Return the next chunks."""
    out = torch.empty_like(x) if out is None else out
    rows, width = x.shape[-2:]
    with beside(x):
        _step[(triton.cdiv(x.numel(), _BLOCK),)](
            x,
            prediction,
            decided,
            decided_rows,
            out,
            float(step_size),
            x.numel(),
            width,
            rows,
            clean=clean,
            block=_BLOCK,
            num_warps=_WARPS,
        )
    return out


def _compilation(dtype: str, predicted: str, *, clean: bool, decided: bool) -> Compilation:
    pointers = {"x": f"*{dtype}", "prediction": f"*{predicted}", "out": f"*{dtype}"}
    known = {"decided": f"*{dtype}", "decided_rows": "*i32"}
    numbers = {"step_size": "fp32", "elements": "i32", "width": "i32", "rows": "i32"}
    return Compilation(
        _step,
        pointers | numbers | (known if decided else {}),
        {"clean": clean, "block": _BLOCK} | ({} if decided else dict.fromkeys(known)),
        {"num_warps": _WARPS},
        (*pointers, *(known if decided else ()), "elements"),
    )


COMPILATIONS = (
    _compilation("fp32", "bf16", clean=False, decided=False),
    _compilation("fp32", "fp16", clean=True, decided=True),
    _compilation("bf16", "bf16", clean=True, decided=True),
)
