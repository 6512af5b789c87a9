# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Operators on the host: their own time, and what is around them."""

from __future__ import annotations

import pytest
from simulated_gpu import SimulatedGpu

from lowlat_nodes.inference.launches.operators import OperatorFigures, operator_figures
from lowlat_nodes.inference.launches.trace import trace_of


def operators_of(gpu: SimulatedGpu) -> list[OperatorFigures]:
    return operator_figures(trace_of(gpu.events))


def test_an_operator_does_not_count_what_it_calls() -> None:
    host = SimulatedGpu()
    with host.inference(3):
        host.now_us += 5.0
        with host.operator("linear"):
            host.now_us += 1.0
            for _ in range(2):
                with host.operator("addmm"):
                    host.now_us += 9.0
        host.now_us += 2.5
        with host.operator("relu"):
            host.now_us += 3.0
    (found,) = operators_of(host)
    own = {cost.name: (cost.count, cost.total_us) for cost in found.costliest}
    assert own["addmm"] == (2.0, pytest.approx(20.0))
    assert own["linear"] == (1.0, pytest.approx(2.0))
    assert own["relu"] == (1.0, pytest.approx(4.0))
    assert [cost.name for cost in found.costliest] == ["addmm", "relu", "linear"]
    assert (found.batch, found.operators) == (3, 2)
    assert found.operator_us == pytest.approx(22.0 + 4.0)
    assert found.outside_us == pytest.approx(0.5 + 5.0 + 2.5 + 0.5)
    assert found.latency_us == pytest.approx(found.operator_us + found.outside_us)


def test_operators_of_several_threads_take_their_time_once() -> None:
    host = SimulatedGpu()
    with host.inference(1):
        with host.operator("a"):
            host.now_us += 9.0
        host.now_us -= 8.0
        with host.operator("b", tid=77):
            host.now_us += 9.0
    (found,) = operators_of(host)
    assert found.operators == 2
    assert found.operator_us == pytest.approx(12.0)
    assert [cost.total_us for cost in found.costliest] == pytest.approx([10.0, 10.0])


def test_the_row_of_a_batch_size_is_its_median_inference() -> None:
    host = SimulatedGpu()
    for batch, length_us in ((1, 5.0), (1, 500.0), (1, 6.0), (8, 50.0)):
        with host.inference(batch), host.operator("a"):
            host.now_us += length_us
    one, eight = operators_of(host)
    assert (one.inferences, one.operator_us) == (3, pytest.approx(7.0))
    assert one.costliest[0].total_us == pytest.approx((6.0 + 501.0 + 7.0) / 3)
    assert (eight.batch, eight.operator_us) == (8, pytest.approx(51.0))


def test_a_node_of_onnx_runtime_goes_by_its_operator() -> None:
    run = {"ph": "X", "pid": 1, "tid": 1, "ts": 10}
    trace = trace_of(
        [
            run | {"cat": "Session", "name": "model_run", "dur": 90, "args": {}},
            run | {"cat": "Node", "name": "/a/Conv_kernel_time", "dur": 30, "args": {"op_name": "Conv"}},
            run
            | {
                "cat": "Node",
                "name": "/b/Conv_kernel_time",
                "ts": 50,
                "dur": 20,
                "args": {"op_name": "Conv"},
            },
        ]
    )
    (found,) = operator_figures(trace)
    assert [(cost.name, cost.count, cost.total_us) for cost in found.costliest] == [("Conv", 2.0, 50.0)]
    assert trace.unknown == {"Session": 1}


def test_an_inference_without_operators() -> None:
    host = SimulatedGpu()
    with host.inference(1):
        pass
    (found,) = operators_of(host)
    assert (found.operators, found.operator_us, found.costliest) == (0, 0.0, ())
