# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions and the write into the cache in one launch: a program for each head of a token."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.launching import beside


@triton.jit  # type: ignore[untyped-decorator]
def _turn(
    projected: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    queries: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    tokens: tl.tensor,
    heads: tl.tensor,
    shared: tl.tensor,
    half: tl.tensor,
    key_sequence: tl.tensor,
    key_head: tl.tensor,
    key_token: tl.tensor,
    value_sequence: tl.tensor,
    value_head: tl.tensor,
    value_token: tl.tensor,
    block: tl.constexpr,
) -> None:
    program = tl.program_id(0)
    every = heads + 2 * shared
    head = (program % every).to(tl.int64)  # what is times a stride may lead beyond int32
    token = (program // every % tokens).to(tl.int64)
    sequence = (program // every // tokens).to(tl.int64)
    channel = tl.arange(0, block)
    inside = channel < half
    source = projected + program.to(tl.int64) * (2 * half) + channel
    one = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    other = tl.load(source + half, mask=inside, other=0.0).to(tl.float32)
    if head < heads + shared:
        across = tl.load(cos + token * half + channel, mask=inside, other=0.0).to(tl.float32)
        along = tl.load(sin + token * half + channel, mask=inside, other=0.0).to(tl.float32)
        turned = one * across - other * along
        other = other * across + one * along
        one = turned
    if head < heads:
        target = queries + ((sequence * heads + head) * tokens + token) * (2 * half)
    elif head < heads + shared:
        target = keys + sequence * key_sequence + (head - heads) * key_head + token * key_token
    else:
        target = (
            values + sequence * value_sequence + (head - heads - shared) * value_head + token * value_token
        )
    tl.store(target + channel, one.to(projected.dtype.element_ty), mask=inside)
    tl.store(target + half + channel, other.to(projected.dtype.element_ty), mask=inside)


def run(
    projected: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """Write into the cache and return the queries."""
    batch, shared, tokens, size = keys.shape
    every = projected.shape[-1] // size
    heads = every - 2 * shared
    out = projected.new_empty((batch, heads, tokens, size)) if out is None else out
    with beside(projected):
        _turn[(batch * tokens * every,)](
            projected,
            cos,
            sin,
            out,
            keys,
            values,
            tokens,
            heads,
            shared,
            size // 2,
            *keys.stride()[:3],
            *values.stride()[:3],
            block=triton.next_power_of_2(size // 2),
            num_warps=1,
        )
    return out


def _compilation(size: int, dtype: str) -> Compilation:
    pointers = dict.fromkeys(("projected", "queries", "keys", "values"), f"*{dtype}")
    tables = {"cos": "*fp32", "sin": "*fp32"}
    strides = [f"{part}_{axis}" for part in ("key", "value") for axis in ("sequence", "head", "token")]
    return Compilation(
        _turn,
        pointers | tables | dict.fromkeys((*strides, "tokens", "heads", "shared", "half"), "i32"),
        {"block": size // 2},
        {"num_warps": 1},
        (*pointers, *tables, *strides, "half"),
    )


COMPILATIONS = (_compilation(64, "fp32"), _compilation(256, "bf16"), _compilation(128, "fp16"))
