# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs inferences of several batch sizes and writes a trace in which each is marked.

PyTorch's profiler sees all CUDA calls of the process, whoever makes them: PyTorch, Triton or ONNX Runtime. On
the host it sees only the operators of PyTorch; those of ONNX Runtime are in its own profile.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lowlat_nodes.inference.launches.marks import mark, unprofiled_mark
from lowlat_nodes.inference.launches.trace_file import Events, open_trace
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

WARM_UPS = 3
"""Inferences of each batch size before those that count."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        infer: Runs one inference of a batch size, and returns when it is done.
        batches: The batch sizes.
        inferences: How many of each.
        unprofiled: The same where no profiler slows it down; None if that is `infer` before it is profiled.
    """

    infer: Callable[[int], object]
    batches: Sequence[int]
    inferences: int
    unprofiled: Callable[[int], object] | None = None

    def time_us(self, batch: int) -> float:
        """Return how long an inference of a batch size takes without the profiler."""
        infer, times_ns = self.unprofiled or self.infer, []
        for _ in range(WARM_UPS + self.inferences):
            start_ns = time.perf_counter_ns()
            infer(batch)
            times_ns.append(time.perf_counter_ns() - start_ns)
        return median(times_ns[WARM_UPS:]) / 1e3


def record_with_torch(plan: Plan, path: Path, *, cuda: bool) -> None:
    """Write what PyTorch's profiler sees.

    Args:
        plan: What to run.
        path: Of the trace; packed if it ends with .gz.
        cuda: Whether it runs on a GPU.

    Raises:
        ConfigurationError: If PyTorch sees no GPU.
        MissingExtra: If PyTorch is not installed.
    """
    try:
        import torch
        from torch.profiler import ProfilerActivity, profile, record_function
    except ImportError as error:
        raise MissingExtra("torch", "torch") from error
    if cuda and not torch.cuda.is_available():
        raise ConfigurationError(
            f"expected a GPU that PyTorch {torch.__version__} can use, it sees none; leave --device cuda "
            "away to profile operators on the CPU"
        )
    times_us = {batch: plan.time_us(batch) for batch in plan.batches}
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as profiler:
        for batch in plan.batches:
            plan.infer(batch)  # the profiler itself takes longer the first time
            with record_function(unprofiled_mark(batch, times_us[batch])):
                pass
            for _ in range(plan.inferences):
                if cuda:
                    torch.cuda.synchronize()  # each finds an idle device
                with record_function(mark(batch)):
                    plan.infer(batch)
    profiler.export_chrome_trace(str(path))


def record_with_onnxruntime(plan: Plan, model: OnnxModel, path: Path) -> None:
    """Write the profile of ONNX Runtime, and into it when each inference began and ended.

    Args:
        plan: What to run, and its twin without the profile.
        model: What it runs, loaded with `profile`.
        path: Of the trace; packed if it ends with .gz.

    Raises:
        ConfigurationError: If there is less in the profile than ran.
    """
    marks: list[dict[str, Any]] = []
    began_ns = model.profiling_began_ns
    now_ns = min((time.monotonic_ns, time.time_ns), key=lambda clock: abs(clock() - began_ns))
    for batch in plan.batches:
        for _ in range(WARM_UPS):
            plan.infer(batch)
        if plan.unprofiled is not None:
            marks.append(_mark(unprofiled_mark(batch, plan.time_us(batch)), 0.0, 0.0))
        for _ in range(plan.inferences):
            start_ns = now_ns()
            plan.infer(batch)
            elapsed_us = (now_ns() - start_ns) / 1e3
            marks.append(_mark(mark(batch), (start_ns - began_ns) / 1e3, elapsed_us))
    own = model.end_profiling()
    try:
        with open_trace(own) as text:
            events: list[Any] = list(Events(text, str(own)))
    finally:
        own.unlink(missing_ok=True)
    runs = sum(isinstance(event, dict) and event.get("name") == "model_run" for event in events)
    wanted = len(plan.batches) * plan.inferences
    if runs < wanted:
        raise ConfigurationError(
            f"expected {wanted} runs of {model.path.name} in the profile of ONNX Runtime, found {runs}; "
            "profile fewer inferences"
        )
    content = json.dumps({"traceEvents": [*events, *marks]}).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _mark(name: str, start_us: float, elapsed_us: float) -> dict[str, Any]:
    kind = {"ph": "X", "cat": "user_annotation", "pid": 0, "tid": 0}
    return {**kind, "name": name, "ts": start_us, "dur": elapsed_us, "args": {}}
