# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How much time of a core a model takes before and after."""

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
    """Return the time of a run on one thread, ms: fp32, int8, and bf16 where the runtime can do that.

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
    return take_turns(
        {name: functools.partial(model.run, feed, layout.outputs) for name, model in models.items()}
    )


def take_turns(jobs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the time that each job takes of the cores, ms.

    Time of the process is counted, not on the wall, and the lower quartile is taken: what else runs on the
    machine shall not decide.
    """
    taken: dict[str, list[int]] = {name: [] for name in jobs}
    for _ in range(RUNS):
        for name, job in jobs.items():
            job()  # the job before has filled the caches with its own weights
            begin_ns = time.process_time_ns()
            job()
            taken[name].append(time.process_time_ns() - begin_ns)
    return {name: float(np.quantile(times, 0.25)) * 1e-6 for name, times in taken.items()}
