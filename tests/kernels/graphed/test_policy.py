# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy on the CPU, where there are no graphs: the same checks, buckets, padding and results."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.inputs import Input
from lowlat_nodes.kernels.graphed.policy import GraphedPolicy, by_name

pytestmark = pytest.mark.torch

WORDS = Input("int64", ("batch", "words"), fill=-1)
STATE = Input("float32", ("batch", 3))


def total(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Sum of the words that are no padding, and each word doubled; as many rows as there are states."""
    words = inputs["words"]
    known = torch.where(words >= 0, words, 0).sum(1, keepdim=True)
    return {"sum": inputs["state"] + known, "twice": words * 2, "shape": torch.tensor(words.shape)}


def padded(**changes: Any) -> GraphedPolicy:
    options: dict[str, Any] = {
        "device": "cpu",
        "inputs": {"words": WORDS, "state": STATE},
        "outputs": {"sum": ("batch", None), "twice": ("batch", "words")},
        "sizes": {"words": (4, 8), "batch": (1, 2, 4)},
    }
    return GraphedPolicy(total, **(options | changes))


def feed(batch: int, words: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "words": random.integers(0, 9, (batch, words)),
        "state": random.standard_normal((batch, 3), np.float32),
    }


def test_it_says_that_and_why_there_is_no_graph() -> None:
    policy = GraphedPolicy(lambda inputs: inputs["x"] + 1.0, device="cpu")
    assert (policy.graphed, policy.reason, policy.buckets) == (False, "it runs on the CPU", {})
    assert math.isnan(policy.submit_us)
    assert math.isnan(policy.device_us)
    made = policy({"x": np.zeros((2, 3), np.float32)})
    assert made.tolist() == [[1.0] * 3] * 2
    assert (policy.graphed, policy.reason) == (False, "it runs on the CPU")
    assert policy.buckets == {"the one shape": "it runs on the CPU"}
    assert policy.submit_us == 0.0  # nothing is launched
    assert policy.stage_us > 0.0
    assert policy.device_us > 0.0
    assert GraphedPolicy(total, device="cpu", graphs=False).reason == "it runs on the CPU"


def test_without_a_gpu_the_default_is_the_cpu() -> None:
    policy = GraphedPolicy(lambda inputs: inputs["x"] + 1.0)
    assert policy.graphed == torch.cuda.is_available()


def test_inputs_are_given_by_name() -> None:
    policy = GraphedPolicy(lambda inputs: inputs["x"] + 1.0, device="cpu")
    with pytest.raises(BadArgument, match="expected the inputs by name, got ndarray"):
        policy(np.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(BadArgument, match="expected at least one input, got none"):
        policy({})


def test_results_are_tensors_of_the_callers_own() -> None:
    policy = GraphedPolicy(lambda inputs: {"same": inputs["x"], "twice": inputs["x"] * 2.0}, device="cpu")
    array = np.ones(3, np.float32)
    first = policy({"x": array})
    array[:] = 5.0
    second = policy({"x": array})
    assert first["same"].tolist() == [1.0] * 3
    assert first["twice"].tolist() == [2.0] * 3
    assert second["same"].tolist() == [5.0] * 3
    first["twice"].add_(1.0)  # a tensor of inference mode would refuse
    weight = torch.ones(3, requires_grad=True)
    (weight * first["twice"]).sum().backward()
    assert weight.grad.tolist() == [3.0] * 3


def test_arrays_of_numpy_and_torch_make_the_same() -> None:
    policy = padded()
    arrays = feed(2, 5)
    one = policy(arrays)
    other = policy({name: torch.from_numpy(array) for name, array in arrays.items()})
    strided = policy({name: np.asfortranarray(array) for name, array in arrays.items()})
    for made in (other, strided):
        assert all(torch.equal(made[name], one[name]) for name in one)


@pytest.mark.parametrize(("batch", "words"), [(1, 1), (1, 4), (2, 3), (3, 5), (4, 8)])
def test_padding_changes_no_result(batch: int, words: int) -> None:
    policy, arrays = padded(), feed(batch, words, seed=batch + words)
    made = policy(arrays)
    bare = total({name: torch.from_numpy(array) for name, array in arrays.items()})
    assert torch.equal(made["sum"], bare["sum"])
    assert torch.equal(made["twice"], bare["twice"])
    assert made["shape"].tolist() == [
        min(size for size in (1, 2, 4) if size >= batch),
        4 if words <= 4 else 8,
    ]
    assert arrays["words"].shape == (batch, words)


def test_sizes_share_a_bucket_or_have_their_own() -> None:
    policy = padded(sizes={"words": (4, 8)})
    for batch, words in ((1, 2), (1, 4), (3, 4), (1, 5)):
        policy(feed(batch, words))
    assert list(policy.buckets) == ["batch 1, words 4", "batch 3, words 4", "batch 1, words 8"]


def test_what_is_larger_than_all_buckets_runs_as_it_is_or_is_refused() -> None:
    arrays = feed(2, 9)
    made = padded()(arrays)
    assert made["shape"].tolist() == [2, 9]
    policy = padded(beyond="refuse")
    with pytest.raises(BadArgument, match="larger than all declared sizes: words 9 > 8"):
        policy(arrays)
    assert policy(feed(2, 8))["sum"].shape == (2, 3)


def test_no_more_shapes_are_kept_than_most_graphs() -> None:
    policy = padded(sizes={}, most_graphs=2, beyond="refuse")
    policy(feed(1, 2))
    policy(feed(1, 3))
    with pytest.raises(BadArgument, match="as many shapes as most_graphs = 2 came before: batch 1, words 4"):
        policy(feed(1, 4))
    assert policy(feed(1, 3))["twice"].shape == (1, 3)
    eager = padded(sizes={}, most_graphs=1)
    for words in (2, 3, 2):
        assert eager(feed(1, words))["twice"].shape == (1, words)
    assert list(eager.buckets) == ["batch 1, words 2"]


def test_values_on_the_host_may_decide_what_is_done() -> None:
    def repeat(inputs: Mapping[str, Any]) -> Any:
        x = inputs["x"]
        for _ in range(int(inputs["steps"][0])):
            x = x * 2.0
        return x

    inputs = {"x": Input("float32", (2,)), "steps": Input("int64", (1,), on_host=True)}
    policy = GraphedPolicy(repeat, device="cpu", inputs=inputs)
    x = np.float32([1.0, 3.0])
    for steps in (1, 3, 0, 3):
        made = policy({"x": x, "steps": np.array([steps])})
        assert made.tolist() == (x * 2**steps).tolist()
    assert len(policy.buckets) == 3


def test_the_first_run_says_what_is_taken_if_it_goes_well() -> None:
    policy = GraphedPolicy(lambda inputs: inputs["x"] @ torch.ones(3, 1), device="cpu")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        policy({"x": np.ones((2, 4), np.float32)})
    assert policy({"x": np.ones((2, 3), np.float32)}).tolist() == [[3.0]] * 2
    with pytest.raises(BadArgument, match=r"x: expected the shape \[2, 3\], got \[2, 4\]"):
        policy({"x": np.ones((2, 4), np.float32)})


@pytest.mark.parametrize("made", [3.0, (torch.zeros(1),), {}, {"x": 1.0}, {"": torch.zeros(1)}])
def test_a_function_that_returns_no_tensors_is_refused(made: Any) -> None:
    policy = GraphedPolicy(lambda inputs: made, device="cpu")
    with pytest.raises(TypeError, match="expected the policy to return a tensor or a mapping of names"):
        policy({"x": np.zeros(1)})


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"add": ("batch",)}, "expected the policy to return 'add', got 'sum', 'twice', 'shape'"),
        ({"sum": ("batch",)}, r"'sum' of the shape \[batch 2\], got \[2, 3\]"),
        ({"sum": ("batch", "words")}, r"'sum' of the shape \[batch 2, words 4\], got \[2, 3\]"),
    ],
)
def test_outputs_must_be_as_declared(outputs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        padded(outputs=outputs)(feed(2, 3))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"beyond": "crash"}, "beyond: expected 'eager' or 'refuse', got 'crash'"),
        ({"most_graphs": 0}, "most_graphs: expected 1 or more, got 0"),
        ({"device": "tpu"}, "device: expected cpu, cuda or cuda:NUMBER, got 'tpu'"),
        ({"device": "meta"}, "device: expected cpu, cuda or cuda:NUMBER, got 'meta'"),
        ({"device": "cuda:99"}, r"device: expected one of \d+ GPUs that PyTorch .* sees, got 'cuda:99'"),
        ({"inputs": None}, "sizes: expected inputs that name these axes, got none"),
        ({"sizes": {"joints": (3,)}}, r"sizes: expected an axis that an input names \(batch, words\)"),
        ({"outputs": {"sum": ("rows", None)}}, "outputs: expected axes .*, got 'rows' in 'sum'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadArgument, match=words):
        padded(**changes)


def test_one_thread_at_a_time() -> None:
    inside, leave = threading.Event(), threading.Event()

    def wait(inputs: Mapping[str, Any]) -> Any:
        inside.set()
        assert leave.wait(60.0)
        return inputs["x"] + 1.0

    policy = GraphedPolicy(wait, device="cpu")
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(policy({"x": np.zeros(2)})))
    thread.start()
    try:
        assert inside.wait(60.0)
        with pytest.raises(RuntimeError, match="expected one thread at a time"):
            policy({"x": np.zeros(2)})
        with pytest.raises(RuntimeError, match="expected one thread at a time"):
            policy.close()
    finally:
        leave.set()
        thread.join()
    assert policy({"x": np.ones(2)}).tolist() == [2.0, 2.0]  # another thread may go on with it
    assert made[0].tolist() == [1.0, 1.0]


def test_policies_of_several_threads_do_not_meet() -> None:
    def run(number: int) -> None:
        policy = padded()
        for seed in range(20):
            arrays = feed(number + 1, seed % 8 + 1, seed)
            expected = arrays["state"] + arrays["words"].sum(1, keepdims=True)
            found[number] &= np.allclose(policy(arrays)["sum"].numpy(), expected)

    found = [True] * 3
    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 3


def test_a_closed_policy_says_so_and_keeps_results() -> None:
    with padded() as policy:
        pending = policy.submit(feed(1, 3))
        expected = policy(feed(1, 3))
    policy.close()
    assert pending.done()
    assert torch.equal(pending.result()["sum"], expected["sum"])
    assert pending.result() is pending.result()
    with pytest.raises(RuntimeError, match="expected a policy that is open"):
        policy(feed(1, 3))


def test_it_computes_no_gradients() -> None:
    layer = torch.nn.Linear(3, 2)
    seen: list[bool] = []

    def run(inputs: Mapping[str, Any]) -> Any:
        seen.append(torch.is_inference_mode_enabled())
        return layer(inputs["x"])

    policy, x = GraphedPolicy(run, device="cpu"), np.ones((1, 3), np.float32)
    before = policy({"x": x})
    assert seen == [True]
    assert not before.requires_grad
    with torch.no_grad():
        layer.weight.add_(1.0)  # weights may change in place
    assert torch.allclose(policy({"x": x}), before + 3.0)


def test_inputs_that_require_gradients_give_none() -> None:
    policy = padded()
    arrays = feed(1, 3)
    state = torch.from_numpy(arrays["state"]).requires_grad_()
    made = policy({"words": arrays["words"], "state": state})
    assert not made["sum"].requires_grad
    assert torch.equal(made["sum"], policy(arrays)["sum"])


def test_the_default_device_of_the_caller_is_of_no_account() -> None:
    policy = GraphedPolicy(
        lambda inputs: inputs["state"] * 2.0,
        device="cpu",
        inputs={"state": STATE},
        outputs={"": ("batch", None)},
        sizes={"batch": (4,)},
    )
    state = feed(3, 1)["state"]
    with torch.device("meta"):
        made = policy({"state": state})
    assert np.array_equal(made.numpy(), state * 2.0)


def test_arguments_by_name() -> None:
    def policy(state: Any, noise: Any) -> Any:
        return state - noise

    made = GraphedPolicy(by_name(policy), device="cpu")({"noise": np.ones(2), "state": np.full(2, 5.0)})
    assert made.tolist() == [4.0, 4.0]
