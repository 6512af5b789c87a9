# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch profiler: what its meter costs a node, and on a GPU the sweep of TKLQT over batch sizes.

The meter takes note of one inference; the difference to a loop that does nothing is its cost. The sweep is of
a transformer in half precision as PyTorch runs it, operator by operator: 18 layers of width 1024 over 51
tokens, the size of pi0's action expert, with random weights.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from lowlat_nodes.inference.launches.figures import figures
from lowlat_nodes.inference.launches.meter import LaunchMeter
from lowlat_nodes.inference.launches.record import Plan, record_with_torch
from lowlat_nodes.inference.launches.trace import read_trace
from lowlat_nodes.inference.launches.verdict import verdict
from lowlat_nodes.inference.model import LaunchTimes
from lowlat_nodes.stream.errors import MissingExtra

LAYERS, WIDTH, TOKENS, HEADS = 18, 1024, 51, 8
BATCHES = (1, 2, 4, 8, 16, 32, 64)


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return the field `launch_meter_us`, and on a GPU `tklqt`.

    Raises:
        MissingExtra: If it is to run on a GPU and PyTorch is not installed.
    """
    result: dict[str, Any] = {"launch_meter_us": _meter_us(20_000 if quick else 200_000)}
    if device == "cuda":
        result["tklqt"] = sweep(BATCHES[::2] if quick else BATCHES, 5 if quick else 20, device)
    return result


def _meter_us(inferences: int, repeats: int = 7) -> float:
    """Return what it costs to take note of one inference, µs."""
    meter, times = LaunchMeter(), [LaunchTimes(40.0 + number, 9000.0) for number in range(64)]
    costs = []
    for _ in range(repeats):
        start_ns = time.perf_counter_ns()
        for number in range(inferences):
            meter.record(*times[number & 63])
        middle_ns = time.perf_counter_ns()
        for number in range(inferences):
            times[number & 63]
        empty_ns = time.perf_counter_ns() - middle_ns
        costs.append((middle_ns - start_ns - empty_ns) / inferences / 1e3)
    return median(costs)


def sweep(
    batches: Sequence[int],
    inferences_each: int,
    device: str,
    *,
    layers: int = LAYERS,
    width: int = WIDTH,
) -> dict[str, Any]:
    """Return the figures and the verdict of the transformer over batch sizes.

    Args:
        batches: Batch sizes.
        inferences_each: Inferences of each.
        device: cuda, or cpu, where nothing is launched.
        layers: Of the transformer.
        width: Of a layer.

    Raises:
        MissingExtra: If PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "torch") from error
    torch.manual_seed(0)
    dtype = torch.float16 if device == "cuda" else torch.float32
    layer = torch.nn.TransformerEncoderLayer(width, HEADS, 4 * width, batch_first=True)
    network = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).to(device, dtype).eval()
    tokens = torch.ones(max(batches), TOKENS, width, device=device, dtype=dtype)

    def infer(batch: int) -> None:
        network(tokens[:batch]).cpu()

    former = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it runs a whole layer as one operator
    try:
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            path = Path(folder) / "trace.json"
            record_with_torch(Plan(infer, batches, inferences_each), path, cuda=device == "cuda")
            trace = read_trace(path)
    finally:
        torch.backends.mha.set_fastpath_enabled(former)
    found = figures(trace, 3)
    judged = verdict(found, lost=trace.lost)
    rows = [{**asdict(each), "launch_us": each.launch_us if each.launches else None} for each in found]
    return {"verdict": judged.text, "bound": judged.bound, "turn": judged.turn, "batches": rows}
