# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a job takes of the cores."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from lowlat_nodes.train.quantisation.seeing import layout_of
from lowlat_nodes.train.quantisation.timing import compare, take_turns


def test_waiting_is_no_work() -> None:
    taken = take_turns({"wait": lambda: time.sleep(0.002), "count": lambda: sum(range(300_000))})
    assert 0.0 < taken["wait"] < taken["count"]


@pytest.mark.openvino
def test_openvino_is_timed_in_bfloat16_where_the_cpu_has_it(cell_model: Path) -> None:
    from lowlat_nodes.inference.openvino import precisions

    times = compare(cell_model, cell_model, "openvino", layout_of(cell_model))
    expected = {"fp32", "int8"} | ({"bf16"} if "bf16" in precisions("CPU") else set())
    assert set(times) == expected
    assert all(value > 0.0 for value in times.values())
