# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Random inputs in the dtypes of activations, and results whose surroundings are watched.

With TRITON_INTERPRET=0 the tests run on an NVIDIA GPU, where there is one, and kernels are compiled.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

if TYPE_CHECKING:
    from torch import Tensor

_GUARD = 64


@pytest.fixture(autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """Every test here runs on one thread."""


@pytest.fixture
def device() -> Iterator[str]:
    """The device on which tensors are made during the test."""
    chosen = "cuda" if os.environ["TRITON_INTERPRET"] == "0" and torch.cuda.is_available() else "cpu"
    with torch.device(chosen):
        yield chosen


@pytest.fixture
def normal(device: str) -> Callable[..., Tensor]:
    """Makes standard normal numbers of a shape and dtype, the same in each run."""
    random = torch.Generator("cpu").manual_seed(8)

    def make(*shape: int, dtype: str = "float32") -> Tensor:
        return torch.randn(shape, generator=random, device="cpu").to(device, getattr(torch, dtype))

    return make


@pytest.fixture
def poisoned(device: str) -> Iterator[Callable[..., Tensor]]:
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
