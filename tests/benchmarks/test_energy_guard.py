# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of guards, on a few calls of each node's code."""

from __future__ import annotations

import pytest

pytest.importorskip("skimage")
pytest.importorskip("onnx")
pytest.importorskip("torch")
pytest.importorskip("fastavro")

from lowlat_nodes.benchmarks._energy_guard import judge
from lowlat_nodes.benchmarks._energy_guard_parts import PARTS

pytestmark = [
    pytest.mark.torch,
    pytest.mark.alerts,
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]


@pytest.mark.parametrize("name", PARTS)
def test_attacks_are_cut_and_normal_calls_are_not(name: str) -> None:
    found = judge(PARTS[name](True), 1500)
    assert found["ok"]
    assert found["attack_factor"] >= 7.5
    assert found["attacks"] == found["attacks_cut"] == 10
    assert found["false_cuts"] <= 1
    assert found["breaker_opened_after"] == 5
    assert found["attacks_refused"] == (5 if name == "steps" else 0)
    assert found["normal_p999"] > 1.2 * found["normal_mean"]  # they differ, as real ones do
