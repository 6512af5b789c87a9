# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Verdicts on simulated inferences for which it is known what bounds them, and where that turns."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_gpu import SimulatedGpu, sweep

from lowlat_nodes.inference.launches.figures import figures
from lowlat_nodes.inference.launches.marks import unprofiled_mark
from lowlat_nodes.inference.launches.trace import trace_of
from lowlat_nodes.inference.launches.verdict import Verdict, fit, verdict

BATCHES = [1, 2, 4, 8, 16, 32, 64]


def verdict_of(gpu: SimulatedGpu) -> Verdict:
    return verdict(figures(trace_of(gpu.events)))


@pytest.mark.parametrize("turn", [3.0, 5.5, 8.0, 21.0, 30.0])
def test_it_turns_where_a_kernel_takes_as_long_as_its_launch(turn: float) -> None:
    # A launch takes 10 µs of the host, and a kernel 2 µs and its share of 8 µs for each item.
    found = verdict_of(sweep(BATCHES, base_us=2.0, per_item_us=8.0 / turn))
    assert found.bound == "turns"
    assert found.turn == pytest.approx(turn, rel=0.1)
    assert found.by_batch == {batch: "gpu" if batch > found.turn else "cpu" for batch in BATCHES}
    assert found.bend is not None
    assert found.bend.flat_us == pytest.approx(20 * 5.5, rel=0.02)
    assert found.text.startswith(
        f"CPU-bound up to a batch size of about {float(f'{found.turn:.2g}'):g}, GPU-bound"
    )
    assert "graph" in found.advice
    assert "infer more at a time" in found.advice


@pytest.mark.parametrize("seed", range(3))
def test_kernels_of_many_lengths_turn_where_their_mean_is_that_of_a_launch(seed: int) -> None:
    items = np.random.default_rng(seed).lognormal(np.log(10.0 / 12.0), 1.0, 60)
    gpu = SimulatedGpu()
    for batch in BATCHES:
        with gpu.inference(batch):
            for length_us in np.tile(np.maximum(2.0, items * batch), 4):
                gpu.launch(float(length_us))
            gpu.wait()
    sizes = np.linspace(1.0, 64.0, 1000)
    turn = sizes[np.argmax(np.maximum(2.0, items[None] * sizes[:, None]).mean(1) >= 10.0)]
    assert verdict_of(gpu).turn == pytest.approx(turn, rel=0.2)


def test_one_batch_size_above_the_turn_does_not_tell_where_it_is() -> None:
    found = verdict_of(sweep(BATCHES, base_us=2.0, per_item_us=8.0 / 36.0))
    assert found.by_batch == {batch: "gpu" if batch == 64 else "cpu" for batch in BATCHES}
    assert found.turn == pytest.approx((32 * 64) ** 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_a_tenth_moves_the_turn_little(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.array([100.0 + 30.0 * max(0, batch - 10) for batch in BATCHES])
    bend = fit(BATCHES, list(truth * random.uniform(0.95, 1.05, len(BATCHES))))
    assert 8.0 < bend.knee < 12.5
    assert bend.flat_us == pytest.approx(100.0, rel=0.05)
    assert bend.slope_us == pytest.approx(30.0, rel=0.2)


def test_flat_over_all_batch_sizes_is_cpu_bound() -> None:
    found = verdict_of(sweep(BATCHES, base_us=2.0, per_item_us=0.01))
    assert (found.bound, found.turn) == ("cpu", None)
    assert set(found.by_batch.values()) == {"cpu"}
    assert "CPU-bound at batch sizes 1 to 64: TKLQT stays at about 110 µs" in found.text
    assert "CUDA graph" in found.advice


def test_rising_from_the_first_batch_size_on_is_gpu_bound() -> None:
    found = verdict_of(sweep(BATCHES, kernels=40, base_us=40.0, per_item_us=20.0))
    assert (found.bound, found.turn) == ("gpu", None)
    assert set(found.by_batch.values()) == {"gpu"}
    assert "a graph would gain nothing" in found.advice


@pytest.mark.parametrize(("kernel_us", "bound"), [(2.0, "cpu"), (7.0, "cpu"), (15.0, "gpu"), (300.0, "gpu")])
@pytest.mark.parametrize("batches", [[1], [1, 2]])
def test_few_batch_sizes_are_judged_by_the_work_of_the_device(
    kernel_us: float, bound: str, batches: list[int]
) -> None:
    found = verdict_of(sweep(batches, kernels=60, base_us=kernel_us, per_item_us=0.01))
    assert (found.bound, found.bend) == (bound, None)


def test_a_turn_of_few_long_kernels_is_one_of_work_not_of_queues() -> None:
    found = verdict_of(sweep([1, 10, 100, 1000], kernels=1, base_us=0.1, per_item_us=1.0))
    assert (found.bound, found.by_batch[1000]) == ("turns", "gpu")
    assert found.bend is not None
    assert found.text.endswith("GPU-bound above, where the device is busy throughout")


def test_two_batch_sizes_may_have_the_turn_between_them() -> None:
    found = verdict_of(sweep([4, 16], kernels=60, base_us=2.0, per_item_us=1.0))
    assert (found.bound, found.by_batch) == ("turns", {4: "cpu", 16: "gpu"})
    assert found.turn == pytest.approx(8.0)


def test_one_short_kernel_is_cpu_bound_and_one_long_is_not() -> None:
    for kernel_us, bound in ((2.0, "cpu"), (5000.0, "gpu")):
        assert verdict_of(sweep(BATCHES, kernels=1, base_us=kernel_us, per_item_us=0.001)).bound == bound


def graphed(kernel_us: float, batches: list[int]) -> SimulatedGpu:
    gpu = SimulatedGpu()
    for batch in batches:
        with gpu.inference(batch):
            gpu.launch(*[kernel_us * batch] * 30, call="cudaGraphLaunch")
            gpu.wait()
    return gpu


def test_a_graph_is_judged_by_the_work_of_the_device() -> None:
    found = verdict_of(graphed(3.0, BATCHES))
    assert (found.bound, found.bend) == ("gpu", None)
    tiny = verdict_of(graphed(0.05, [1]))
    assert (tiny.bound, tiny.advice) == (
        "cpu",
        "It is launched as a graph already, and takes less than that launch.",
    )
    mixed = graphed(0.1, [1])
    with mixed.inference(1):
        for _ in range(5):
            mixed.launch(0.3)
        mixed.launch(1.0, call="cudaGraphLaunch")
    assert "launch the rest in it too" in verdict_of(mixed).advice


def test_what_synchronises_is_named() -> None:
    gpu = SimulatedGpu()
    with gpu.inference(1):
        for _ in range(10):
            gpu.launch(30.0)
            gpu.wait()
    found = verdict_of(gpu)
    assert found.bound == "cpu"
    assert "take out what synchronises" in found.advice


def test_a_graph_saves_no_more_than_there_is_without_the_profiler() -> None:
    gpu = SimulatedGpu()
    with gpu.inference(1):
        for _ in range(20):
            gpu.launch(3.0)
        gpu.wait()
    assert "saves up to 138 of 202 µs" in verdict_of(gpu).advice
    with gpu.operator(unprofiled_mark(1, 100.0), "user_annotation"):
        pass
    assert "saves up to 40 of 100 µs" in verdict_of(gpu).advice


def test_without_launches_nothing_is_judged() -> None:
    host = SimulatedGpu()
    with host.inference(1), host.operator("aten::linear"):
        pass
    found = verdict_of(host)
    assert (found.bound, found.by_batch, found.turn, found.text) == (
        "none",
        {},
        None,
        "no GPU: nothing is launched",
    )
    assert verdict([]).bound == "none"
    assert verdict([], lost=7).text == "not known: 7 launches are in the trace, but none of their kernels"


def test_a_trace_without_batch_sizes_is_judged_as_one() -> None:
    gpu = SimulatedGpu()
    for _ in range(50):
        gpu.launch(3.0)
    found = verdict_of(gpu)
    assert found.by_batch == {0: "cpu"}
    assert found.text == "CPU-bound; the device waits for launches"


def test_bounds_that_change_to_and_fro_are_no_verdict() -> None:
    gpu = SimulatedGpu()
    for batch, kernel_us in ((1, 50.0), (2, 1.0)):
        with gpu.inference(batch):
            for _ in range(50):
                gpu.launch(kernel_us)
            gpu.wait()
    found = verdict_of(gpu)
    assert (found.bound, found.turn) == ("mixed", None)
    assert found.text == "no clear bound (1: GPU, 2: CPU); profile more inferences"
