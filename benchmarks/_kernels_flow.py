# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The operations of a flow step: what one costs, against plain torch and against the memory's speed.

On a GPU both sides are captured in graphs, so that neither pays for Python, and take turns. `small` is one
robot's step in pi0's sizes, where a launch costs more than the bytes; `large` is many of them, more than the
caches hold. On a CPU the operations are plain torch, a small share of what a layer takes.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lowlat_nodes.kernels import flow
from lowlat_nodes.stream.errors import MissingExtra

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_TOKENS, _WIDTH, _MLP = 51, 1024, 4096
_HEADS, _HEAD = 8, 256
_HORIZON, _ACTIONS = 50, 32
_COPIED_BYTES = 1 << 28
_LARGE = {"euler": 32768, "ada_rms": 1024, "rotary": 1024, "silu_gate": 256}
"""Sequences that make at least as many bytes as are copied."""
_PER_LAYER = {"ada_rms": 2, "rotary": 1, "silu_gate": 1}


@dataclass(frozen=True)
class _Case:
    """A call of an operation, by keyword; `results` are those that it makes itself if they are left out."""

    op: Any
    arguments: dict[str, Any]
    results: dict[str, Tensor]

    def plain(self) -> Callable[[], object]:
        """Return the call in plain torch, which makes its results itself, as one would write it."""
        run = importlib.import_module(f"{self.op.package}.cpu").run
        return lambda: run(**self.arguments)

    def ours(self) -> Callable[[], object]:
        """Return the call of the operation, checks included."""
        return lambda: self.op(**self.arguments, **self.results)

    @property
    def moved_bytes(self) -> int:
        """Bytes that are read or written at least."""
        tensors = [*self.arguments.values(), *self.results.values()]
        return sum(each.numel() * each.element_size() for each in tensors if hasattr(each, "numel"))

    @property
    def error(self) -> float:
        """The largest difference from the oracle, in parts of its largest number."""
        import torch

        self.ours()()
        expected = self.op.on("ref")(**self.arguments)
        pairs = zip(self.results.values(), [expected] if torch.is_tensor(expected) else expected, strict=True)
        return max(float((found - want).abs().max() / want.abs().max()) for found, want in pairs)


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return the field `flow`.

    Raises:
        MissingExtra: If torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", extra="torch") from error
    from lowlat_nodes.benchmarks._flow_launches import count
    from lowlat_nodes.benchmarks._pi0_shape import SIZES

    with torch.no_grad():
        launches = count(SIZES["full"].depth)
        figures = _on_gpu(quick) if device == "cuda" else {"cpu": _on_cpu(quick)}
    return {"flow": {"launches_per_euler_step": {"ours": launches.ours, "plain": launches.plain}, **figures}}


def _case(name: str, device: str, dtype: str, sequences: int) -> _Case:
    """Return a call of an operation in the sizes of pi0's expert."""
    import torch

    def normal(*shape: int, kind: str = dtype) -> Tensor:
        return torch.randn(sequences, *shape, device=device, dtype=getattr(torch, kind))

    if name == "euler":
        x = normal(_HORIZON, _ACTIONS, kind="float32")
        prediction = normal(_HORIZON, _ACTIONS)
        return _Case(
            flow.euler, {"x": x, "prediction": prediction, "step_size": -0.1}, {"out": torch.empty_like(x)}
        )
    if name == "silu_gate":
        return _Case(
            flow.silu_gate,
            {"projected": normal(_TOKENS, 2 * _MLP), "activation": "gelu_tanh"},
            {"out": normal(_TOKENS, _MLP)},
        )
    if name == "rotary":
        cos, sin = torch.randn(2, _TOKENS, _HEAD // 2, device=device)
        keys, values = (normal(1, _TOKENS, _HEAD) for _ in range(2))
        projected = normal(_TOKENS, (_HEADS + 2) * _HEAD)
        tables = {"cos": cos, "sin": sin, "keys": keys, "values": values}
        return _Case(flow.rotary, {"projected": projected, **tables}, {"out": normal(_HEADS, _TOKENS, _HEAD)})
    x, residual, total, out = (normal(_TOKENS, _WIDTH) for _ in range(4))
    condition = dict(zip(("scale", "shift", "gate"), normal(3 * _WIDTH).chunk(3, dim=-1), strict=True))
    return _Case(flow.ada_rms, {"x": x, "residual": residual, **condition}, {"total": total, "out": out})


def _on_cpu(quick: bool) -> dict[str, Any]:
    """Time the operations with and without their checks, and what a layer multiplies between them."""
    rounds = 50 if quick else 1000
    figures: dict[str, Any] = {"implementation": "torch", "dtype": "float32", "unit": "us"}
    for name in _LARGE:
        case = _case(name, "cpu", "float32", 1)
        checked = replace(case, results={}).ours()
        times = _in_turns({"checked": checked, "plain": case.plain()}, rounds)
        figures[name] = {
            "call": round(times["checked"], 1),
            "without_check": round(times["plain"], 1),
            "error": case.error,
        }
    products_us = _in_turns({"products": _products_of_a_layer()}, 3 if quick else 30)["products"]
    operations_us = sum(count * figures[name]["call"] for name, count in _PER_LAYER.items())
    return figures | {
        "products_of_a_layer": round(products_us),
        "share_of_a_layer": round(operations_us / (operations_us + products_us), 3),
    }


def _products_of_a_layer() -> Callable[[], object]:
    """Return a call that multiplies tokens of the expert by all weights of one of its layers, on a CPU."""
    import torch

    heads = _HEADS * _HEAD
    sizes = [(_WIDTH, heads + 2 * _HEAD), (heads, _WIDTH), (_WIDTH, 2 * _MLP), (_MLP, _WIDTH)]
    pairs = [(torch.randn(_TOKENS, taken), torch.randn(made, taken)) for taken, made in sizes]
    return lambda: [torch.nn.functional.linear(tokens, weights) for tokens, weights in pairs]


def _in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each call in microseconds, forwards and backwards in turns."""
    times: dict[str, list[int]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls)[:: -1 if turn % 2 else 1]:
            started_ns = time.perf_counter_ns()
            calls[name]()
            times[name].append(time.perf_counter_ns() - started_ns)
    return {name: statistics.median(values) * 1e-3 for name, values in times.items()}


def _on_gpu(quick: bool) -> dict[str, Any]:
    """Time the operations in graphs, and a whole denoising with them and without."""
    rounds = 5 if quick else 50
    copied = _copy_bytes_per_us(rounds)
    figures: dict[str, Any] = {"copy_gb_s": round(copied * 1e-3), "dtype": "bfloat16", "unit": "us"}
    sizes = {"small": (dict.fromkeys(_LARGE, 1), 200), "large": (_LARGE, 10)}
    for size, (sequences, repeats) in sizes.items():
        for name in sequences:
            case = _case(name, "cuda", "bfloat16", sequences[name])
            times = _in_graphs({"ours": case.ours(), "plain": case.plain()}, repeats, rounds)
            floor = case.moved_bytes / copied
            figures[f"{name}_{size}"] = {
                "ours": round(times["ours"], 2),
                "plain": round(times["plain"], 2),
                "speedup": round(times["plain"] / times["ours"], 2),
                "floor": round(floor, 3),
                "times_floor": round(times["ours"] / floor, 2),
                "error": case.error,
            }
    return figures | {"denoising": _denoising(quick, rounds)}


def _denoising(quick: bool, rounds: int) -> dict[str, Any]:
    """Time all Euler steps of a policy with the shapes of pi0, one sequence, in one graph each."""
    import torch

    from lowlat_nodes.benchmarks._pi0_shape import EAGER, FUSED, SIZES, Operations, Pi0Shape

    size = "small" if quick else "full"
    with torch.device("cuda"):
        policy = Pi0Shape(SIZES[size])
    policy.to(torch.bfloat16).precompute()
    inputs = policy.example_inputs(device="cuda")
    cache = policy.prefix(inputs)
    made: dict[str, Tensor] = {}

    def denoising(name: str, operations: Operations) -> Callable[[], None]:
        def denoise() -> None:
            policy.operations = operations
            x = inputs["noise"]
            for step in range(policy.config.steps):
                x = policy.denoise_step(x, step, cache, inputs["state"])
            made[name] = x

        return denoise

    calls = {name: denoising(name, each) for name, each in {"ours": FUSED, "plain": EAGER}.items()}
    times = _in_graphs(calls, 1, rounds)
    return {
        "size": size,
        "steps": policy.config.steps,
        "ours": round(times["ours"], 1),
        "plain": round(times["plain"], 1),
        "speedup": round(times["plain"] / times["ours"], 2),
        "largest_difference": float((made["ours"] - made["plain"]).abs().max()),
    }


def _copy_bytes_per_us(rounds: int) -> float:
    """Return how many bytes a copy reads and writes in a microsecond, in the GPU's memory."""
    import torch

    source = torch.ones(_COPIED_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * _COPIED_BYTES / _in_graphs({"copy": lambda: target.copy_(source)}, 10, rounds)["copy"]


def _in_graphs(calls: Mapping[str, Callable[[], object]], repeats: int, rounds: int) -> dict[str, float]:
    """Return the median time of each call in microseconds, many of them in one graph, in turns."""
    import torch

    graphs = {name: _graph(call, repeats) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, graph in graphs.items():
            started, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            started.record()
            graph.replay()
            ended.record()
            ended.synchronize()
            times[name].append(started.elapsed_time(ended) * 1e3 / repeats)
    return {name: statistics.median(values) for name, values in times.items()}


def _graph(call: Callable[[], object], repeats: int) -> torch.cuda.CUDAGraph:
    """Capture a call some times over, after it compiled and loaded what it needs on another stream."""
    import torch

    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            call()
    graph.replay()
    return graph
