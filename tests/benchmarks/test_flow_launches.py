# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Launches of an Euler step are counted as a GPU would see them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from lowlat_nodes.benchmarks._flow_launches import count  # noqa: E402


def test_a_layer_is_its_products_its_attention_and_one_launch_for_each_of_our_operations() -> None:
    one, two = (count(depth) for depth in (1, 2))
    products, attention, transposed = 4, 1, 1
    norms, rotary, gate = 2, 1, 1
    assert two.ours - one.ours == products + attention + transposed + norms + rotary + gate
    # Around the layers: state and actions in, actions out, two changes of dtype, a join, a norm, Euler.
    assert one.ours - (two.ours - one.ours) == 3 + 2 + 1 + 1 + 1
    # In plain torch: residual sum, norm, 1 + scale, modulation; six products and sums and a join for the
    # positions, keys, values and queries copied; activation and product.
    assert two.plain - one.plain == products + attention + transposed + 2 * 4 + (6 + 1 + 3) + 2


def test_a_mask_costs_no_launch_of_its_own() -> None:
    pi0, other = (count(2, ada_rms=False), count(1, ada_rms=False))
    assert pi0.ours - other.ours == count(2).ours - count(1).ours
