# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies as CUDA graphs; needs a GPU."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.benchmarks._pi0_shape import SIZES, Pi0Shape
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.inputs import Input
from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

SIZE = 256


@pytest.fixture
def layers() -> torch.nn.Module:
    torch.manual_seed(2)
    parts = [part for _ in range(20) for part in (torch.nn.Linear(SIZE, SIZE), torch.nn.Tanh())]
    return torch.nn.Sequential(*parts).cuda().eval()


@pytest.fixture
def policy(layers: torch.nn.Module) -> Iterator[GraphedPolicy]:
    with GraphedPolicy(lambda inputs: layers(inputs["x"]), device="cuda") as made:
        yield made


def fresh(seed: int, rows: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, SIZE), np.float32)


def eager(layers: torch.nn.Module, x: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        made: torch.Tensor = layers(torch.from_numpy(x).cuda()).cpu()
    return made


def test_replays_make_what_eager_makes_of_fresh_inputs(
    policy: GraphedPolicy, layers: torch.nn.Module
) -> None:
    for seed in (1, 2, 3, 1):
        x = fresh(seed)
        torch.testing.assert_close(policy({"x": x}), eager(layers, x), rtol=1e-4, atol=1e-5)
        assert (policy.graphed, policy.reason) == (True, "")
        assert policy.submit_us > 0.0
        assert policy.stage_us > 0.0
        assert policy.device_us > 0.0
    assert policy.buckets == {"the one shape": ""}


def test_our_own_policy_makes_the_same_as_a_graph() -> None:
    bare = Pi0Shape(SIZES["tiny"]).cuda()
    with GraphedPolicy(bare, device="cuda") as policy:
        for seed in (1, 2):
            made = policy(bare.example_inputs(1, "cpu", seed))
            with torch.inference_mode():
                expected = bare(bare.example_inputs(1, "cuda", seed)).cpu()
            torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-3)
        assert policy.graphed, policy.reason


def test_arrays_may_be_changed_as_soon_as_they_are_submitted(
    policy: GraphedPolicy, layers: torch.nn.Module
) -> None:
    x = fresh(0)
    policy({"x": x})
    for seed in range(1, 20):
        x[:] = fresh(seed)
        pending = policy.submit({"x": x})
        x[:] = np.nan
        torch.testing.assert_close(pending.result(), eager(layers, fresh(seed)), rtol=1e-4, atol=1e-5)


def test_runs_in_flight_keep_their_own_inputs_and_results(
    policy: GraphedPolicy, layers: torch.nn.Module
) -> None:
    runs = [policy.submit({"x": fresh(seed)}) for seed in range(7)]  # more than there are slots
    for seed, pending in reversed(list(enumerate(runs))):
        torch.testing.assert_close(pending.result(), eager(layers, fresh(seed)), rtol=1e-4, atol=1e-5)
    for seed in range(7):
        policy.submit({"x": fresh(seed)})  # nobody wants the result
    torch.testing.assert_close(policy({"x": fresh(9)}), eager(layers, fresh(9)), rtol=1e-4, atol=1e-5)


def test_results_are_not_written_to_again(policy: GraphedPolicy) -> None:
    first = policy({"x": fresh(1)})
    kept = first.clone()
    for seed in range(2, 6):
        policy({"x": fresh(seed)})
    assert torch.equal(first, kept)
    assert first.device.type == "cpu"
    first.add_(1.0)


def test_inputs_on_the_gpu(policy: GraphedPolicy, layers: torch.nn.Module) -> None:
    for seed in (1, 2, 3):
        torch.cuda._sleep(10_000_000)  # what makes the input is still to come
        x = torch.from_numpy(fresh(seed)).cuda(non_blocking=True).mul(2.0)
        pending = policy.submit({"x": x})
        del x
        torch.empty(3, SIZE, device="cuda").fill_(torch.nan)  # where the input was, if it was freed too early
        torch.testing.assert_close(pending.result(), eager(layers, 2.0 * fresh(seed)), rtol=1e-4, atol=1e-5)
    assert policy.graphed, policy.reason


def test_weights_may_change_in_place(policy: GraphedPolicy, layers: torch.nn.Module) -> None:
    before = policy({"x": fresh(1)})
    with torch.no_grad():
        layers[0].weight.mul_(0.5)
    torch.cuda.synchronize()
    after = policy({"x": fresh(1)})
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, eager(layers, fresh(1)), rtol=1e-4, atol=1e-5)


def by_words(inputs: Mapping[str, Any]) -> dict[str, Any]:
    words = inputs["words"]
    known = torch.where(words >= 0, words, 0).sum(1, keepdim=True)
    return {"sum": inputs["state"] + known, "twice": words * 2}


def test_buckets_share_memory_in_any_order() -> None:
    inputs = {"words": Input("int64", ("batch", "words"), fill=-1), "state": Input("float32", ("batch", 3))}
    outputs = {"sum": ("batch", None), "twice": ("batch", "words")}
    sizes = {"words": (4, 8), "batch": (1, 2, 4)}
    random = np.random.default_rng(4)
    with GraphedPolicy(by_words, device="cuda", inputs=inputs, outputs=outputs, sizes=sizes) as policy:
        for _ in range(60):
            batch, words = random.integers(1, 5), random.integers(1, 9)
            feed = {
                "words": random.integers(0, 9, (batch, words)),
                "state": random.standard_normal((batch, 3), np.float32),
            }
            made = policy(feed)
            expected = by_words({name: torch.from_numpy(array) for name, array in feed.items()})
            assert all(torch.equal(made[name], expected[name]) for name in expected)
            assert policy.graphed, policy.reason
        assert len(policy.buckets) == 6
        large = {"words": np.ones((2, 9), np.int64), "state": np.zeros((2, 3), np.float32)}
        assert policy(large)["sum"].tolist() == [[9.0] * 3] * 2
        assert not policy.graphed
        assert policy.reason == "larger than all declared sizes: words 9 > 8"


def test_values_on_the_host_have_a_graph_each() -> None:
    def repeat(inputs: Mapping[str, Any]) -> Any:
        x = inputs["x"]
        for _ in range(int(inputs["steps"][0])):
            x = x * 2.0
        return x + 0.0

    inputs = {"x": Input("float32", (2,)), "steps": Input("int64", (1,), on_host=True)}
    with GraphedPolicy(repeat, device="cuda", inputs=inputs, most_graphs=3) as policy:
        for steps in (1, 3, 0, 3, 1):
            made = policy({"x": np.float32([1.0, 3.0]), "steps": np.array([steps])})
            assert made.tolist() == [2.0**steps, 3.0 * 2.0**steps]
            assert policy.graphed, policy.reason
        assert policy({"x": np.ones(2, np.float32), "steps": np.array([2])}).tolist() == [4.0, 4.0]
        assert policy.reason.startswith("as many shapes as most_graphs = 3 came before")
        with pytest.raises(BadArgument, match=r"steps: expected it on the host, .* got it on cuda"):
            policy({"x": np.ones(2, np.float32), "steps": torch.ones(1, dtype=torch.int64).cuda()})


def test_random_numbers_go_on_as_in_eager() -> None:
    own = torch.Generator("cuda")

    def draw(inputs: Mapping[str, Any]) -> dict[str, Any]:
        x = inputs["x"]
        return {
            "default": x + torch.randn_like(x),
            "own": x + torch.randn(x.shape, device="cuda", generator=own),
        }

    def seed() -> None:
        torch.cuda.manual_seed(7)
        own.manual_seed(8)

    x = np.zeros(1000, np.float32)
    seed()
    expected = [draw({"x": torch.from_numpy(x).cuda()}) for _ in range(3)]
    seed()
    with GraphedPolicy(draw, device="cuda", generators=[own]) as policy:
        for each in expected:
            made = policy({"x": x})
            assert policy.graphed, policy.reason
            assert all(torch.equal(made[name], each[name].cpu()) for name in each)
    assert not torch.equal(expected[0]["default"], expected[1]["default"])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda x: x * x.sum().item(), "the host waits for the GPU in aten::_local_scalar_dense"),
        (lambda x: x.cpu(), "expected all outputs on cuda:0, got its output on cpu"),
        (lambda x: (torch.cuda.current_stream().synchronize(), x * 2.0)[1], "its capture broke: "),
    ],
    ids=["seen", "output", "unseen"],
)
def test_what_cannot_be_captured_runs_without(run: Any, words: str, layers: torch.nn.Module) -> None:
    with GraphedPolicy(lambda inputs: run(inputs["x"]), device="cuda") as policy:
        for seed in (1, 2):
            x = fresh(seed)
            expected = run(torch.from_numpy(x).cuda()).cpu()
            torch.testing.assert_close(policy({"x": x}), expected)
            assert not policy.graphed
            assert words in policy.reason
            assert policy.device_us > 0.0
    # PyTorch is as it was: random numbers, memory of several streams, and graphs of others.
    assert torch.randn(3, device="cuda").isfinite().all()
    assert "random numbers" not in policy.reason
    with GraphedPolicy(lambda inputs: layers(inputs["x"]), device="cuda") as other:
        torch.testing.assert_close(other({"x": fresh(3)}), eager(layers, fresh(3)), rtol=1e-4, atol=1e-5)
        assert other.graphed, other.reason


def test_what_fails_without_a_graph_fails_with_one() -> None:
    with GraphedPolicy(lambda inputs: inputs["x"] @ torch.ones(3, 1, device="cuda"), device="cuda") as policy:
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            policy({"x": np.ones((2, 4), np.float32)})
        assert policy({"x": np.ones((2, 3), np.float32)}).tolist() == [[3.0]] * 2
        assert policy.graphed, policy.reason


def test_other_threads_may_use_cuda_during_a_capture(layers: torch.nn.Module) -> None:
    stop, errors, rounds = threading.Event(), [], [0]

    def work() -> None:
        try:
            stream, host = torch.cuda.Stream(), torch.zeros(SIZE, SIZE, pin_memory=True)
            while not stop.is_set():
                with torch.cuda.stream(stream):
                    x = torch.ones(SIZE, SIZE, device="cuda")
                    # Of many sizes, so that PyTorch has to ask the driver for memory.
                    torch.empty(1 + rounds[0] % 16 << 20, device="cuda").fill_(0.0)
                    host.copy_(x @ x, non_blocking=True)
                stream.synchronize()
                assert float(host[0, 0]) == SIZE
                rounds[0] += 1
        except Exception as error:  # told to the test
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for rows in range(1, 6):
            with GraphedPolicy(lambda inputs: layers(inputs["x"]), device="cuda") as policy:
                x = fresh(rows, rows)
                torch.testing.assert_close(policy({"x": x}), eager(layers, x), rtol=1e-4, atol=1e-5)
                assert policy.graphed, policy.reason
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors
    assert rounds[0] > 0


def test_two_threads_capture_and_replay_at_the_same_time(layers: torch.nn.Module) -> None:
    found: dict[int, bool] = {}

    def work(number: int) -> None:
        with GraphedPolicy(lambda inputs: layers(inputs["x"]), device="cuda") as policy:
            right = []
            for seed in range(20):
                x = fresh(100 * number + seed)
                right.append(torch.allclose(policy({"x": x}), eager(layers, x), rtol=1e-4, atol=1e-5))
            found[number] = all(right) and policy.graphed

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(3), True)


def test_closing_frees_the_memory(layers: torch.nn.Module) -> None:
    def free() -> int:
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    def large(inputs: Mapping[str, Any]) -> Any:
        return layers(inputs["x"]).repeat(65536, 1).tanh().sum(0)

    eager(layers, fresh(0))
    large({"x": torch.from_numpy(fresh(0)).cuda()})
    before = free()
    policy = GraphedPolicy(large, device="cuda")
    pending = policy.submit({"x": fresh(1)})
    assert policy.graphed, policy.reason
    assert free() > before + (128 << 20)
    policy.close()
    assert pending.done()
    assert pending.result().shape == (SIZE,)
    with pytest.raises(RuntimeError, match="expected a policy that is open"):
        policy({"x": fresh(1)})
    workspaces = 64 << 20  # what libraries keep for each stream
    assert free() <= before + workspaces


def test_inputs_that_require_gradients(policy: GraphedPolicy, layers: torch.nn.Module) -> None:
    for seed in (1, 2, 3):
        x = torch.from_numpy(fresh(seed)).requires_grad_()
        made = policy({"x": x if seed != 2 else x.cuda()})
        assert not made.requires_grad
        torch.testing.assert_close(made, eager(layers, fresh(seed)), rtol=1e-4, atol=1e-5)


def test_the_default_device_of_the_caller_is_of_no_account(layers: torch.nn.Module) -> None:
    with torch.device("cuda"), GraphedPolicy(lambda inputs: layers(inputs["x"])) as policy:
        made = policy({"x": fresh(1)})
        assert policy.graphed, policy.reason
    torch.testing.assert_close(made, eager(layers, fresh(1)), rtol=1e-4, atol=1e-5)


def test_graphs_may_be_off(layers: torch.nn.Module) -> None:
    policy = GraphedPolicy(lambda inputs: layers(inputs["x"]), device="cuda", graphs=False)
    torch.testing.assert_close(policy({"x": fresh(1)}), eager(layers, fresh(1)), rtol=1e-4, atol=1e-5)
    assert (policy.graphed, policy.reason) == (False, "graphs are off")


def test_a_caller_in_inference_mode(layers: torch.nn.Module) -> None:
    policy = GraphedPolicy(lambda inputs: layers(inputs["x"]), device="cuda")
    with torch.inference_mode():
        policy({"x": fresh(1)})
    torch.testing.assert_close(policy({"x": fresh(2)}), eager(layers, fresh(2)), rtol=1e-4, atol=1e-5)
    policy({"x": fresh(3)}).add_(1.0)
    assert policy.graphed, policy.reason
    policy.close()
