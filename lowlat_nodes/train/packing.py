# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared-observation packing: one observation and all its delay offsets in one sequence of a transformer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from lowlat_nodes.stream.errors import ConfigurationError


@dataclass(frozen=True)
class Packing:
    """Layout of a packed sequence (VLASH, arXiv 2512.01031): a prefix, then branches of `length` tokens each.

    The prefix, which is the observation, attends to itself; a branch, which is the state and the noisy
    actions of one delay offset, attends to the prefix and to itself. So each branch is what it would be alone
    with the prefix, and the prefix is computed once. Each branch has a flow time of its own.

    The paper packs pairs of state and actions. The authors' code for pi0.5 packs the actions only, has the
    state in the condition beside the flow time, masks offsets beyond the end of an episode, and numbers
    branches from the last prefix token that is not padding. Here all branches and all tokens of the prefix
    are present; to use it with padding, clear the columns of the padding in the mask.
    """

    prefix: int
    length: int
    branches: int

    def __post_init__(self) -> None:
        for name in ("prefix", "length", "branches"):
            if (value := getattr(self, name)) < 1:
                raise ConfigurationError(f"a packing needs {name} >= 1, got {value}")

    def mask(self, device: torch.device | None = None) -> Tensor:
        """Who attends to whom, for `scaled_dot_product_attention`: bool [L, L], query before key."""
        branch = torch.arange(self.branches, device=device).repeat_interleave(self.length)
        owner = torch.cat([torch.full((self.prefix,), -1, device=device), branch])
        return (owner == -1) | (owner == owner[:, None])

    def positions(self, device: torch.device | None = None) -> Tensor:
        """Position of each token: int64 [L]; every branch goes on where the prefix ended."""
        prefix = torch.arange(self.prefix, device=device)
        branch = torch.arange(self.prefix, self.prefix + self.length, device=device)
        return torch.cat([prefix, branch.repeat(self.branches)])

    def pack(self, branches: Tensor) -> Tensor:
        """Put branches [B, N, S, ...] one after the other: [B, N * S, ...]."""
        return branches.flatten(1, 2)

    def unpack(self, packed: Tensor) -> Tensor:
        """Undo `pack`."""
        return packed.unflatten(1, (self.branches, self.length))


def attend(
    query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor], mask: Tensor | None
) -> Tensor:
    """Attention of packed branches to a prefix and to themselves: [B, heads, N * S, D], as `query` is.

    `key` and `value` are those of the branches, `prefix` has the keys and values of the prefix, each
    [B, heads, P, D], and `mask` the branches' rows of `Packing.mask`; a single branch needs none. Nor does
    the prefix, whose attention to itself is the caller's. As long as the branches together are shorter than
    the prefix, this is faster than one masked pass over the whole sequence, and than a batch of branches with
    a copy of the prefix each.
    """
    keys, values = (torch.cat(pair, dim=2) for pair in zip(prefix, (key, value), strict=True))
    return scaled_dot_product_attention(query, keys, values, attn_mask=mask)
