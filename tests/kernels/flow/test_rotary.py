# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Rotary positions are what complex numbers make of them; of a cache only the rows that are meant change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.flow import rotary

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.triton]

if TYPE_CHECKING:
    from torch import Tensor

BOTH = pytest.mark.parametrize("which", ["cpu", "cuda"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
SHAPES = [(1, 4, 1, 5, 32), (2, 6, 3, 3, 6), (1, 1, 1, 1, 2), (2, 2, 2, 1, 256)]
"""Sequences, heads, heads of keys, tokens, channels of a head."""


def _angles(length: int, size: int) -> Tensor:
    return torch.arange(3, 3 + length)[:, None] * 0.1 ** torch.linspace(0.0, 3.0, size // 2)


@BOTH
@DTYPES
@pytest.mark.parametrize("shape", SHAPES)
def test_queries_keys_and_values_are_those_of_the_oracle(
    which: str,
    dtype: str,
    shape: tuple[int, ...],
    normal: Callable[..., Tensor],
    poisoned: Callable[..., Tensor],
    check_close: Callable[[Tensor, Tensor], None],
) -> None:
    batch, heads, shared, length, size = shape
    projected = normal(batch, length, (heads + 2 * shared) * size, dtype=dtype)
    angles = _angles(length, size)
    caches, oracles = (
        [torch.full((batch, shared, length + 5, size), torch.nan).to(projected.dtype) for _ in range(2)]
        for _ in range(2)
    )
    rows = slice(2, 2 + length)  # two tokens are in the cache, and there is room for three more
    tables = (angles.cos(), angles.sin())
    out = poisoned((batch, heads, length, size), dtype)
    found = rotary.on(which)(projected, *tables, *(cache[:, :, rows] for cache in caches), out=out)
    assert found is out
    check_close(out, rotary.on("ref")(projected, *tables, *(cache[:, :, rows] for cache in oracles)))
    for cache, oracle in zip(caches, oracles, strict=True):
        check_close(cache[:, :, rows], oracle[:, :, rows].double())
        assert cache[:, :, :2].isnan().all()
        assert cache[:, :, 2 + length :].isnan().all()
    again = rotary.on(which)(projected, *tables, *(cache[:, :, rows] for cache in caches))
    assert torch.equal(again, out)
    assert again.dtype == projected.dtype


@BOTH
def test_only_the_distance_of_two_positions_matters(which: str, normal: Callable[..., Tensor]) -> None:
    token = normal(1, 1, 3 * 32).expand(1, 20, -1).contiguous()
    angles = _angles(20, 32)
    keys, values = torch.empty(2, 1, 1, 20, 32)
    queries = rotary.on(which)(token, angles.cos(), angles.sin(), keys, values)
    products = (queries @ keys.mT)[0, 0]
    for distance in (0, 1, 5):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0.0, atol=1e-4)
    assert (products.diagonal(5)[0] - products[0, 0]).abs() > 1e-2


def _arguments(**changes: Any) -> dict[str, Any]:
    keys, values = torch.zeros(2, 2, 1, 5, 4)
    return {
        "projected": torch.zeros(2, 5, 16),
        "cos": torch.ones(5, 2),
        "sin": torch.zeros(5, 2),
        "keys": keys,
        "values": values,
    } | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"projected": torch.zeros(2, 5, 16).double()}, "projected: expected float32 or .*, got float64"),
        ({"projected": torch.zeros(5, 16)}, r"projected: expected the shape \[B, T, \(H \+ 2 K\) D\]"),
        ({"projected": torch.zeros(5, 2, 16).transpose(0, 1)}, "projected: expected contiguous elements"),
        (
            {"projected": torch.zeros(2, 5, 18)},
            "projected: expected queries and 1 keys and values of 4 channels",
        ),
        (
            {"projected": torch.zeros(2, 5, 8)},
            "projected: expected queries and 1 keys and values of 4 channels",
        ),
        ({"cos": torch.ones(4, 2)}, r"cos: expected the shape \[5, 2\], got \[4, 2\]"),
        ({"sin": torch.ones(2, 5).mT}, "sin: expected contiguous elements"),
        ({"keys": torch.zeros(2, 5, 4)}, r"keys: expected the shape \[B, K, T, D\]"),
        ({"keys": torch.zeros(2, 1, 5, 4).half()}, "keys: expected float32, got float16"),
        ({"keys": torch.zeros(2, 1, 4, 5).mT}, "keys: expected contiguous rows"),
        ({"values": torch.zeros(2, 2, 5, 4)}, r"values: expected the shape \[2, 1, 5, 4\]"),
        ({"out": torch.zeros(2, 1, 5, 4)}, r"out: expected the shape \[2, 2, 5, 4\], got \[2, 1, 5, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadArgument, match=reason):
        rotary(**_arguments(**changes))
    rotary(**_arguments())
