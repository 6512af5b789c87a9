# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Random inputs in the dtypes of activations, and results whose surroundings are watched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

if TYPE_CHECKING:
    from torch import Tensor

_GUARD = 64


@pytest.fixture
def normal() -> Callable[..., Tensor]:
    """Makes standard normal numbers of a shape and dtype, the same in each run."""
    random = torch.Generator().manual_seed(8)

    def make(*shape: int, dtype: str = "float32") -> Tensor:
        return torch.randn(shape, generator=random).to(getattr(torch, dtype))

    return make


@pytest.fixture
def poisoned() -> Iterator[Callable[..., Tensor]]:
    """Makes results full of NaN; in the end every number must be written, and none around them."""
    made: list[tuple[Tensor, Tensor]] = []

    def make(shape: Sequence[int], dtype: str = "float32") -> Tensor:
        size = math.prod(shape)
        around = torch.full((size + 2 * _GUARD,), torch.nan, dtype=getattr(torch, dtype))
        inside = around[_GUARD : _GUARD + size].view(*shape)
        made.append((around, inside))
        return inside

    yield make
    for around, inside in made:
        assert not inside.isnan().any()
        assert around[:_GUARD].isnan().all()
        assert around[-_GUARD:].isnan().all()


@pytest.fixture(scope="session")
def check_close() -> Callable[[Tensor, Tensor], None]:
    """Compares with the oracle: four roundings of the largest result to its dtype are allowed."""

    def check(found: Tensor, expected: Tensor) -> None:
        allowed = 4.0 * torch.finfo(found.dtype).eps
        largest = float(expected.abs().max())
        torch.testing.assert_close(found.double(), expected, rtol=0.0, atol=allowed * max(largest, 1.0))

    return check
