# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor


def run(
    projected: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """Write into the cache and return the queries."""
    shared, size = keys.shape[1], keys.shape[3]
    heads = projected.unflatten(-1, (-1, size)).transpose(1, 2)
    one, other = heads[:, :-shared].chunk(2, dim=-1)
    turned = torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1)
    keys.copy_(turned[:, -shared:])
    values.copy_(heads[:, -shared:])
    queries = turned[:, :-shared]
    return queries.to(projected.dtype).contiguous() if out is None else out.copy_(queries)
