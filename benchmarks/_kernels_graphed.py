# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy as one CUDA graph against the same one run operator by operator, from host memory to host memory.

On a CPU there are no graphs: what is measured is what the wrapper costs there.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lowlat_nodes.stream.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

_WARM_UPS = 3
_CAMERA_BYTES = 3 * 1080 * 1920 * 3
"""Three cameras, whose images are copied as they come."""


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return the field `graphed`; on a GPU also the two that are held to a bar.

    Raises:
        MissingExtra: If torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("torch", extra="torch")
    if device != "cuda":
        return {"graphed": _on_cpu(quick)}
    return _on_gpu(quick)


def _on_cpu(quick: bool) -> dict[str, Any]:
    """Time a call of a policy that does next to nothing, bare and wrapped."""
    import numpy as np
    import torch

    from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

    random = np.random.default_rng(0)
    given = {
        "image": random.integers(0, 256, (1, 240, 320, 3), np.uint8),
        "state": random.standard_normal((1, 12), np.float32),
        "tokens": random.integers(0, 9, (1, 12)),
        "noise": random.standard_normal((1, 50, 6), np.float32),
    }

    def policy(inputs: Mapping[str, Tensor]) -> Tensor:
        return inputs["noise"] + 1.0

    def bare() -> np.ndarray:
        with torch.inference_mode():
            return policy({name: torch.from_numpy(array) for name, array in given.items()}).numpy()

    with GraphedPolicy(policy, device="cpu") as wrapped:
        times = _in_turns({"bare": bare, "wrapped": lambda: wrapped(given)}, 200 if quick else 5000)
    return {
        "cpu_overhead_us": round(times["wrapped"] - times["bare"], 1),
        "cpu_bare_call_us": round(times["bare"], 1),
        "note": "no graphs on a CPU; the overhead is checks, inputs as tensors, and a copy of the result",
    }


def _on_gpu(quick: bool) -> dict[str, Any]:
    size, rounds = ("small", 20) if quick else ("full", 60)
    plain = _against_eager(size, rounds, fused=False)
    figures = {
        "model": f"pi0-shaped, {size}, random weights, bfloat16, batch 1",
        "plain": plain,
        "our_kernels": _against_eager(size, rounds, fused=True),
        "h2d_overlap": _overlap(rounds),
    }
    return {
        "graphed": figures,
        "graphed_policy_speedup_vs_eager": plain.get("speedup", 0.0),
        "host_submit_us": plain.get("submit_us"),
    }


def _against_eager(size: str, rounds: int, *, fused: bool) -> dict[str, Any]:
    """Time the same model as a graph and operator by operator, in turns."""
    import torch

    from lowlat_nodes.benchmarks._pi0_shape import SIZES, Pi0Shape
    from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

    torch.manual_seed(0)
    with torch.device("cuda"):
        model = Pi0Shape(SIZES[size], fused=fused).to(torch.bfloat16).eval()
    given = {name: tensor.numpy() for name, tensor in model.example_inputs(1, "cpu", 0).items()}

    def eager() -> Tensor:
        with torch.inference_mode():
            inputs = {name: torch.from_numpy(array).cuda() for name, array in given.items()}
            return model(inputs).cpu()

    expected = eager()
    begun = time.perf_counter()
    with GraphedPolicy(model, device="cuda") as policy:
        made = policy(given)
        first_s = time.perf_counter() - begun
        if not policy.graphed:
            return {"not_graphed": policy.reason}
        submits = _Submits(policy, given)
        times = _in_turns({"eager": eager, "graphed": submits}, rounds)
    return {
        "eager_us": round(times["eager"], 1),
        "graphed_us": round(times["graphed"], 1),
        "speedup": round(times["eager"] / times["graphed"], 2),
        **submits.medians(),
        "first_run_s": round(first_s, 2),
        "largest_difference": float((made - expected).abs().max()),
        "largest_action": float(expected.abs().max()),
    }


class _Submits:
    """Runs a policy and remembers what it says of each run."""

    def __init__(self, policy: GraphedPolicy, given: Mapping[str, Any]) -> None:
        self._policy = policy
        self._given = given
        self._times: list[tuple[float, float, float]] = []

    def __call__(self) -> object:
        made = self._policy(self._given)
        self._times.append((self._policy.stage_us, self._policy.submit_us, self._policy.device_us))
        return made

    def medians(self) -> dict[str, float]:
        """Return the medians of what the runs took, µs."""
        columns = zip(("stage_us", "submit_us", "device_us"), zip(*self._times, strict=True), strict=True)
        return {name: round(statistics.median(column), 1) for name, column in columns}


def _overlap(rounds: int) -> dict[str, Any]:
    """Time a policy with large inputs one run after another, and with the next one submitted meanwhile.

    Its products take about as long as the copy of the inputs does, so that a copy that is not hidden shows.
    """
    import numpy as np
    import torch

    from lowlat_nodes.kernels.graphed.policy import GraphedPolicy

    weight = torch.randn(4096, 4096, device="cuda", dtype=torch.bfloat16)
    given = {"images": np.random.default_rng(0).integers(0, 256, _CAMERA_BYTES, np.uint8)}

    def policy(inputs: Mapping[str, Tensor]) -> Tensor:
        x = inputs["images"][: 4096 * 4096].view(4096, 4096).to(torch.bfloat16)
        for _ in range(4):
            x = (x @ weight) * 1e-2
        return x.float().sum(0)

    pinned = torch.empty(_CAMERA_BYTES, dtype=torch.uint8, pin_memory=True)
    device = torch.empty(_CAMERA_BYTES, dtype=torch.uint8, device="cuda")

    def copy() -> None:
        device.copy_(pinned, non_blocking=True)
        torch.cuda.current_stream().synchronize()

    with GraphedPolicy(policy, device="cuda") as graphed:
        graphed(given)
        pending = graphed.submit(given)

        def pipelined() -> object:
            nonlocal pending
            before, pending = pending, graphed.submit(given)
            return before.result()

        # One side after the other: what is in flight would go on beside the other side.
        sequential_us = _in_turns({"sequential": lambda: graphed(given)}, rounds)["sequential"]
        stage_us, device_us = graphed.stage_us, graphed.device_us
        pipelined_us = _in_turns({"pipelined": pipelined}, rounds)["pipelined"]
        pending.result()
    copy_us = _in_turns({"copy": copy}, rounds)["copy"]
    return {
        "input_mb": round(_CAMERA_BYTES / 1e6, 1),
        "sequential_us": round(sequential_us, 1),
        "pipelined_us": round(pipelined_us, 1),
        "stage_us": round(stage_us, 1),
        "copy_us": round(copy_us, 1),
        "device_us": round(device_us, 1),
        "hidden_share": round((sequential_us - pipelined_us) / min(stage_us + copy_us, device_us), 2),
    }


def _in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time of each call, µs; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(_WARM_UPS + rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            if round_ >= _WARM_UPS:
                times[name].append(1e6 * (time.perf_counter() - begun))
    return {name: statistics.median(taken) for name, taken in times.items()}
