# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of inferences whose launches are known."""

from __future__ import annotations

import math

import pytest
from simulated_gpu import SimulatedGpu, sweep

from lowlat_nodes.inference.launches.figures import Figures, covered_us, figures
from lowlat_nodes.inference.launches.marks import unprofiled_mark
from lowlat_nodes.inference.launches.trace import trace_of


def figures_of(gpu: SimulatedGpu, most: int = 10) -> list[Figures]:
    return figures(trace_of(gpu.events), most)


@pytest.mark.parametrize(
    ("kernel_us", "kernels"), [(3.0, 17), (10.0, 17), (14.0, 1), (14.0, 17), (200.0, 400)]
)
def test_tklqt_is_what_launching_takes_and_what_waits_in_the_queue(kernel_us: float, kernels: int) -> None:
    gpu = SimulatedGpu(call_us=4.0, pause_us=6.0, latency_us=5.5)
    with gpu.inference(2):
        for _ in range(kernels):
            gpu.launch(kernel_us)
    (found,) = figures_of(gpu)
    queue_us = max(0.0, kernel_us - 10.0) * kernels * (kernels - 1) / 2
    assert found.tklqt_us == pytest.approx(5.5 * kernels + queue_us)
    assert found.tklqt_us == pytest.approx(gpu.tklqt_us)
    assert found.launch_us == pytest.approx(found.tklqt_us / kernels)
    assert (found.batch, found.inferences, found.launches, found.kernels) == (2, 1, kernels, kernels)
    assert found.kernel_us == pytest.approx(kernel_us * kernels)
    assert found.submit_us == pytest.approx(10.0 * (kernels - 1) + 4.0)
    assert found.wait_us == 0.0


def test_gaps_are_where_no_stream_works() -> None:
    gpu = SimulatedGpu(call_us=4.0, pause_us=6.0, latency_us=5.5)
    with gpu.inference(1):
        gpu.launch(8.0)  # 5.5 to 13.5, from the first call
        gpu.launch(8.0, stream=9)  # 15.5 to 23.5
        gpu.launch(3.0, kind="copy", stream=11)  # 25.5 to 28.5
        gpu.launch(30.0, stream=9)  # 35.5 to 65.5
        gpu.launch(10.0, stream=7)  # 45.5 to 55.5
        gpu.wait()
    (found,) = figures_of(gpu)
    assert found.busy_us == pytest.approx(8.0 + 8.0 + 3.0 + 30.0)
    assert found.gap_us == pytest.approx(65.5 - 49.0)
    assert found.kernel_us == pytest.approx(56.0)
    assert (found.kernels, found.copies) == (4, 1)
    assert found.wait_us == pytest.approx(65.5 + 1.0 - 50.0)
    assert found.latency_us == pytest.approx(0.5 + 66.5 + 0.5)
    assert found.idle_us == pytest.approx(found.latency_us - 49.0)


def test_work_of_others_is_no_gap() -> None:
    gpu = SimulatedGpu(call_us=4.0, pause_us=6.0, latency_us=5.5)
    gpu.launch(100.0)
    with gpu.inference(1):  # 10 µs later
        gpu.launch(20.0)
        gpu.launch(5.0, stream=9)
    gpu.launch(50.0)
    (found,) = figures_of(gpu)
    assert found.kernel_us == pytest.approx(25.0)
    assert found.busy_us == pytest.approx(5.5 + 100.0 + 20.0 - 10.5)
    assert found.gap_us == pytest.approx(0.0, abs=1e-6)


def test_a_graph_is_one_launch() -> None:
    gpu = SimulatedGpu(latency_us=5.5)
    with gpu.inference(1):
        gpu.launch(10.0, 20.0, 30.0, call="cudaGraphLaunch")
        gpu.launch(1.0)
    (found,) = figures_of(gpu)
    assert (found.launches, found.graphs, found.kernels) == (2, 1, 4)
    assert found.tklqt_us == pytest.approx(5.5 + (65.5 - 10.0)) == pytest.approx(gpu.tklqt_us)


def test_waiting_in_between_is_no_submitting() -> None:
    gpu = SimulatedGpu(call_us=4.0, pause_us=6.0)
    with gpu.inference(1):
        gpu.launch(500.0)
        gpu.wait()
        gpu.launch(500.0)
        gpu.wait()
    (found,) = figures_of(gpu)
    assert found.submit_us == pytest.approx(10.0 + 4.0)
    assert found.wait_us > 900.0


def test_a_kernel_before_its_call_was_launched_in_no_time() -> None:
    gpu = SimulatedGpu()
    with gpu.inference(1):
        gpu.launch(2.0)
        gpu.launch(2.0)
    next(event for event in gpu.events if event["cat"] == "kernel")["ts"] -= 8.0
    (found,) = figures_of(gpu)
    assert found.early == 1
    assert found.tklqt_us == pytest.approx(5.5)


def test_each_batch_size_has_its_own_medians() -> None:
    gpu = sweep([4, 1, 2], kernels=5, inferences=3)
    gpu.now_us += 1000.0
    with gpu.inference(4):  # one that was held up
        for _ in range(5):
            gpu.now_us += 700.0
            gpu.launch(6.0)
    found = figures_of(gpu)
    assert [each.batch for each in found] == [1, 2, 4]
    assert [each.inferences for each in found] == [3, 3, 4]
    assert [each.kernel_us for each in found] == pytest.approx([15.0, 20.0, 30.0])
    assert [each.submit_us for each in found] == pytest.approx([44.0] * 3)


def test_the_costliest_kernels_come_first() -> None:
    gpu = SimulatedGpu()
    for _ in range(2):
        with gpu.inference(1):
            for name, length_us in (("norm", 1.0), ("gemm", 9.0), ("norm", 2.0), ("copy", 5.0)):
                gpu.launch(length_us, name=name)
    (found,) = figures_of(gpu, most=2)
    assert [(cost.name, cost.count, cost.total_us) for cost in found.costliest] == [
        ("gemm", 1.0, pytest.approx(9.0)),
        ("copy", 1.0, pytest.approx(5.0)),
    ]
    assert figures_of(gpu)[0].costliest[2].count == 2.0


def test_steps_of_the_profiler_are_inferences_where_nothing_else_is_marked() -> None:
    gpu = SimulatedGpu()
    for number in range(3):
        with (
            gpu.operator(f"ProfilerStep#{number}", "user_annotation"),
            gpu.operator("forward", "user_annotation"),
        ):
            gpu.launch(1.0)
            gpu.launch(1.0)
    (found,) = figures_of(gpu)
    assert (found.batch, found.inferences, found.launches) == (0, 3, 2)
    unmarked = [event for event in gpu.events if event["cat"] != "user_annotation"]
    (whole,) = figures(trace_of(unmarked))
    assert (whole.inferences, whole.launches) == (1, 6)
    assert whole.tklqt_us == pytest.approx(gpu.tklqt_us)


def test_launches_of_other_threads_and_outside_of_inferences() -> None:
    gpu = SimulatedGpu()
    gpu.launch(1.0)
    with gpu.inference(1):
        gpu.launch(1.0)
    for event in gpu.events:
        if event["cat"] == "cuda_runtime":
            event["tid"] = 99
    assert figures_of(gpu)[0].launches == 1


def test_a_trace_may_tell_the_latency_without_the_profiler() -> None:
    gpu = SimulatedGpu()
    for batch in (1, 8):
        with gpu.inference(batch):
            gpu.launch(1.0)
    with gpu.operator(unprofiled_mark(8, 12.345), "user_annotation"):
        pass
    one, eight = figures_of(gpu)
    assert math.isnan(one.unprofiled_us)
    assert eight.unprofiled_us == 12.3
    assert (one.inferences, eight.inferences) == (1, 1)


def test_of_inferences_at_a_time_the_first_counts() -> None:
    gpu = SimulatedGpu()
    with gpu.inference(1):
        gpu.launch(1.0)
        with gpu.inference(2):
            gpu.launch(1.0)
    with gpu.inference(2):
        gpu.launch(1.0)
    assert [(each.batch, each.inferences, each.launches) for each in figures_of(gpu)] == [
        (1, 1, 2),
        (2, 1, 1),
    ]


def test_without_launches_there_are_no_figures_of_them() -> None:
    gpu = SimulatedGpu()
    with gpu.inference(1), gpu.operator("aten::linear"):
        pass
    (found,) = figures_of(gpu)
    assert (found.launches, found.kernels, found.tklqt_us, found.gap_us, found.submit_us) == (0, 0, 0, 0, 0)
    assert math.isnan(found.launch_us)
    assert figures(trace_of([])) == []


def test_the_union_of_intervals() -> None:
    assert covered_us([]) == 0.0
    assert covered_us([(5.0, 7.0), (0.0, 2.0), (1.0, 3.0), (1.5, 1.7), (7.0, 8.0)]) == 6.0
