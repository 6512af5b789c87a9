# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How long a model takes before and after, on one thread."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from lowlat_nodes.inference.model import Model
from lowlat_nodes.inference.openvino import OpenVinoModel, precisions
from lowlat_nodes.train.quantisation.seeing import load
from lowlat_nodes.vision.layouts.layout import Layout

RUNS: Final = 20


def compare(source: Path, quantised: Path, runtime: str, layout: Layout) -> dict[str, float]:
    """Return the median time of a run, ms: fp32, int8, and bf16 where the runtime can do that.

    bf16 is the floating-point model, computed in bfloat16 by a CPU with units for it.

    Args:
        source: The floating-point file.
        quantised: The quantised one.
        runtime: openvino or onnxruntime.
        layout: Of both.
    """
    models: dict[str, Model] = {
        "fp32": load(source, runtime, layout),
        "int8": load(quantised, runtime, layout),
    }
    if runtime == "openvino" and "bf16" in precisions("CPU"):
        models["bf16"] = OpenVinoModel(source, image=layout.image, precision="bf16")
    feed = {layout.image.name: np.full(layout.image.shape, 0.5, np.float32), **layout.feed}
    return medians(
        {name: functools.partial(model.run, feed, layout.outputs) for name, model in models.items()}
    )


def medians(jobs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median time of each job, ms; they take turns, so that a busy machine is busy for all."""
    taken: dict[str, list[int]] = {name: [] for name in jobs}
    for _ in range(RUNS):
        for name, job in jobs.items():
            job()  # the job before has filled the caches with its own weights
            begin_ns = time.perf_counter_ns()
            job()
            taken[name].append(time.perf_counter_ns() - begin_ns)
    return {name: float(np.median(times)) * 1e-6 for name, times in taken.items()}
