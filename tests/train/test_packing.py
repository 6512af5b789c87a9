# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

LAYOUTS = [(3, 2, 2), (7, 5, 3), (1, 1, 1), (2, 9, 4), (11, 3, 1)]


def test_the_mask_of_a_small_packing() -> None:
    from lowlat_nodes.train.packing import Packing

    rows = [
        "110000",
        "110000",
        "111100",
        "111100",
        "110011",
        "110011",
    ]
    expected = torch.tensor([[digit == "1" for digit in row] for row in rows])
    assert torch.equal(Packing(2, 2, 2).mask(), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_token_sees_the_prefix_and_its_own_branch(layout: tuple[int, int, int]) -> None:
    from lowlat_nodes.train.packing import Packing

    prefix, length, branches = layout
    mask = Packing(*layout).mask()
    assert mask.dtype == torch.bool
    assert mask.shape == (prefix + length * branches,) * 2
    assert mask[:, :prefix].all()
    assert not mask[:prefix, prefix:].any()
    assert (mask[prefix:].sum(1) == prefix + length).all()


def test_positions_restart_after_the_prefix() -> None:
    from lowlat_nodes.train.packing import Packing

    assert Packing(3, 2, 3).positions().tolist() == [0, 1, 2, 3, 4, 3, 4, 3, 4]
    assert Packing(3, 4, 1).positions().tolist() == list(range(7))


def test_unpacking_undoes_packing() -> None:
    from lowlat_nodes.train.packing import Packing

    packing, branches = Packing(3, 4, 5), torch.randn(2, 5, 4, 6, 7)
    packed = packing.pack(branches)
    assert packed.shape == (2, 20, 6, 7)
    assert torch.equal(packed[:, 4:8], branches[:, 1])
    assert torch.equal(packing.unpack(packed), branches)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_attention_is_that_of_the_whole_sequence_under_the_mask(layout: tuple[int, int, int]) -> None:
    from lowlat_nodes.train.packing import Packing, attend

    torch.manual_seed(0)
    packing = Packing(*layout)
    mask, prefix = packing.mask(), packing.prefix
    query, key, value = torch.randn(3, 2, 4, len(mask), 8, dtype=torch.float64)
    whole = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    branches = [heads[:, :, prefix:] for heads in (query, key, value)]
    found = attend(*branches, (key[:, :, :prefix], value[:, :, :prefix]), mask[prefix:])
    assert torch.allclose(found, whole[:, :, prefix:], atol=1e-12)
    seen = torch.nn.functional.scaled_dot_product_attention(*(t[:, :, :prefix] for t in (query, key, value)))
    assert torch.allclose(seen, whole[:, :, :prefix], atol=1e-12)


@pytest.mark.parametrize("layout", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_an_empty_part_is_refused(layout: tuple[int, int, int]) -> None:
    from lowlat_nodes.train.packing import Packing

    with pytest.raises(ConfigurationError, match=r">= 1, got 0"):
        Packing(*layout)
