# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the operations of a flow step times them, and counts the bytes that they must move."""

from __future__ import annotations

import pytest

from lowlat_nodes.benchmarks import _kernels_flow

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_on_a_cpu_the_operations_are_the_librarys() -> None:
    found = _kernels_flow.measure(quick=True, device="cpu")["flow"]
    assert 0 < 2 * found["launches_per_euler_step"]["ours"] < found["launches_per_euler_step"]["plain"]
    figures = found["cpu"]
    assert figures["implementation"] == "torch"
    assert 0.0 < figures["share_of_a_layer"] < 1.0
    assert figures["products_of_a_layer"] > 0
    for name in ("euler", "ada_rms", "rotary", "silu_gate"):
        assert figures[name]["call"] > 0.0
        assert figures[name]["without_check"] > 0.0
        assert figures[name]["error"] < 1e-6


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("euler", 3 * 50 * 32 * (4 + 2 + 4)),
        ("ada_rms", 3 * 1024 * 2 * (4 * 51 + 3)),
        ("rotary", 3 * 51 * 10 * 256 * 2 * 2 + 2 * 51 * 128 * 4),
        ("silu_gate", 3 * 51 * 4096 * 2 * 3),
    ],
)
def test_the_floor_counts_every_number_once(name: str, moved: int) -> None:
    case = _kernels_flow._case(name, "cpu", "bfloat16", 3)
    assert case.moved_bytes == moved
    assert case.error < 0.05
    case.plain()()


def test_what_is_called_large_is_more_than_is_copied_to_find_the_speed_of_the_memory() -> None:
    for name, sequences in _kernels_flow._LARGE.items():
        moved = _kernels_flow._case(name, "cpu", "bfloat16", 1).moved_bytes
        assert sequences * moved >= _kernels_flow._COPIED_BYTES, name
