# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions as products of complex numbers, in float64."""

from __future__ import annotations

import torch
from torch import Tensor


def run(
    projected: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """Write into the cache; return the queries in float64, or `out`."""
    shared, size = keys.shape[1], keys.shape[3]
    heads = projected.double().unflatten(-1, (-1, size)).transpose(1, 2)
    turn = torch.complex(cos.double(), sin.double())
    turned = torch.complex(*heads[:, :-shared].chunk(2, dim=-1)) * turn
    turned = torch.cat([turned.real, turned.imag], dim=-1)
    keys.copy_(turned[:, -shared:])
    values.copy_(heads[:, -shared:])
    queries = turned[:, :-shared]
    return queries if out is None else out.copy_(queries)
