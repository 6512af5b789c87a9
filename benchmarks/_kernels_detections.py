# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections without suppression against what repositories of DETRs do in PyTorch; what numba costs for it.

Both sides start from the same logits and boxes in memory and end with NumPy arrays of the detections that
have the least score, in px of the source image, in turns and each with one thread:

- ours: the operation `detections`, its checks included, into arrays that are there already;
- torch, as such repositories have it: the logistic function of all logits, `topk` over the flattened pairs,
  classes and queries by division, `gather` of the boxes, corners, px, those above the threshold, `.numpy()`.

Times are those of the thread by its own clock, so that whatever else the machine does counts little; arrays
are in the caches, which favours both. On a GPU a launch is timed inside a CUDA graph of many, each with
scores of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.benchmarks._gpu_clock import gpu_s
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.kernels.detections import Found, ToSource, detections
from lowlat_nodes.stream.config import build
from lowlat_nodes.vision.layouts.layout import Layout
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LayoutSettings

THRESHOLD = 0.25
LIMIT = 300  # what such models report before the threshold
SIDE, SOURCE = 640, (1280, 720)  # px: of the network's input, of the image
_TO_SOURCE = ToSource(
    width=SIDE,
    height=SIDE,
    x_scale=SOURCE[0] / SIDE,
    y_scale=SOURCE[1] / SIDE,
    x_high=SOURCE[0],
    y_high=SOURCE[1],
)
_CALLS = 10  # of one side in a row
_LAUNCHES = 100  # in a CUDA graph

_NUMBA = """
import json, time
import numpy as np

def resident_mb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024

from lowlat_nodes.kernels.detections import detections
scores, boxes = np.zeros((300, 80), np.float32), np.zeros((300, 4), np.float32)
detections.on("vectorised")(scores, boxes, threshold=0.25, limit=300)
memory, begin = resident_mb(), time.perf_counter()
detections.on("cpu")(scores, boxes, threshold=0.25, limit=300)
print(json.dumps([time.perf_counter() - begin, resident_mb() - memory]))
"""


@dataclass(frozen=True)
class Image:
    """What a model of the DETR family gives for an image with a few dozen things in it."""

    logits: NDArray[np.float32]
    boxes: NDArray[np.float32]

    @staticmethod
    def random(seed: int, queries: int = 300, classes: int = 80) -> Image:
        """Return an image: one query in ten is sure of a class, and no two scores are equal."""
        rng = np.random.default_rng(seed)
        logits = rng.normal(-5.0, 1.0, (queries, classes))
        sure = rng.permutation(queries)[: queries // 10]
        logits[sure, rng.integers(0, classes, len(sure))] = rng.normal(1.0, 1.0, len(sure))
        boxes = np.concatenate((rng.uniform(0.1, 0.9, (queries, 2)), rng.uniform(0.05, 0.4, (queries, 2))), 1)
        return Image(logits.astype(np.float32), boxes.astype(np.float32))


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return the figures of a device.

    ============================ ===================================================================
    postprocess_speedup_vs_torch the median of the ratios of all rounds; on the CPU the bar is 8
    postprocess_us               the operation, by numba, checks included; on a GPU a launch in a CUDA
                                 graph, where the bar is 8
    postprocess_torch_us         the other side
    postprocess_numpy_us         the operation by NumPy, as the detector node has it
    postprocess_decode_us        all that the node does with the outputs of such a model
    postprocess_numba            what numba costs a process at its start, in s and resident MB
    postprocess_eager_us         on a GPU: one call after the other from Python, without a graph
    ============================ ===================================================================
    """
    if device == "cuda":
        return _measure_gpu(quick)
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        figures = _measure_cpu(30 if quick else 500)
    finally:
        torch.set_num_threads(threads)
    return figures | {"postprocess_numba": _numba_costs(1 if quick else 5)}


def _measure_cpu(rounds: int) -> dict[str, Any]:
    import torch

    image = Image.random(0)
    tensors = torch.from_numpy(image.logits), torch.from_numpy(image.boxes)
    layout = _layout(image)
    outputs: list[NDArray[np.generic]] = [
        {"logits": image.logits, "pred_boxes": image.boxes}[name][None] for name in layout.outputs
    ]
    place = layout.place(*SOURCE)
    by_numba, by_numpy = detections.on("cpu"), detections.on("vectorised")
    arguments: dict[str, Any] = {
        "threshold": THRESHOLD,
        "limit": LIMIT,
        "to_source": _TO_SOURCE,
        "out": Found.empty(LIMIT),
    }
    sides: dict[str, Callable[[], NDArray[np.float32]]] = {
        "postprocess_us": lambda: by_numba(image.logits, image.boxes, **arguments).detections(),
        "postprocess_torch_us": lambda: _by_torch(*tensors),
        "postprocess_numpy_us": lambda: by_numpy(image.logits, image.boxes, **arguments).detections(),
        "postprocess_decode_us": lambda: layout.decode(outputs, place, THRESHOLD, LIMIT),
    }
    expected = _by_torch(*tensors)
    for name, side in sides.items():
        _assert_equal(name, side(), expected)
    times = [{name: _thread_us(side) for name, side in sides.items()} for _ in range(rounds)]
    ratios = [each["postprocess_torch_us"] / each["postprocess_us"] for each in times]
    return {
        "postprocess_speedup_vs_torch": round(statistics.median(ratios), 2),
        **{name: round(statistics.median(each[name] for each in times), 2) for name in sides},
    }


def _by_torch(logits: Any, boxes: Any) -> NDArray[np.float32]:
    """Return the detections [n, 6] as repositories of DETRs find them, with PyTorch on any device."""
    import torch

    with torch.inference_mode():
        scores, pairs = logits.sigmoid().flatten().topk(LIMIT)
        classes, queries = pairs % logits.shape[1], pairs // logits.shape[1]
        chosen = boxes.gather(0, queries[:, None].expand(-1, 4))
        x, y, width, height = chosen.unbind(-1)
        corners = torch.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), dim=-1)
        corners = corners * torch.tensor(SOURCE * 2, dtype=boxes.dtype, device=boxes.device)
        good = scores >= THRESHOLD
        rows = torch.cat((corners[good], scores[good, None], classes[good, None].to(boxes.dtype)), dim=1)
        found: NDArray[np.float32] = rows.cpu().numpy()
        return found


def _assert_equal(name: str, found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Raise if rows differ within the image; PyTorch leaves in what is outside."""
    same = found.shape == expected.shape and np.allclose(_clipped(found), _clipped(expected), 1e-5, 1e-3)
    if not same or len(found) < 10:
        raise AssertionError(f"{name}: its {len(found)} detections are not the {len(expected)} expected")


def _clipped(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate((np.clip(rows[:, :4], 0.0, SOURCE * 2), rows[:, 4:]), axis=1)


def _thread_us(call: Callable[[], Any]) -> float:
    """Return how long this thread was at work in a call, of some in a row."""
    before = time.thread_time_ns()
    for _ in range(_CALLS):
        call()
    return (time.thread_time_ns() - before) * 1e-3 / _CALLS


def _layout(image: Image) -> Layout:
    """Return the layout that the detector node finds for such outputs."""
    queries, classes = image.logits.shape
    inputs = {"images": TensorSpec("images", (1, 3, SIDE, SIDE), np.float32)}
    outputs = {
        "logits": TensorSpec("logits", (1, queries, classes), np.float32),
        "pred_boxes": TensorSpec("pred_boxes", (1, queries, 4), np.float32),
    }
    names = [f"class {number}" for number in range(classes)]
    return recognise(inputs, outputs, {}, build(LayoutSettings, {"layout": "detr_logits", "names": names}))


def _numba_costs(repeats: int) -> dict[str, float]:
    """Return what the first detections by numba cost a process that has found some by NumPy."""
    costs = [_numba_cost() for _ in range(repeats)]
    return {
        "start_s": round(statistics.median(seconds for seconds, _ in costs), 2),
        "start_mb": round(statistics.median(memory for _, memory in costs), 1),
    }


def _numba_cost() -> tuple[float, float]:
    result = subprocess.run([sys.executable, "-c", _NUMBA], capture_output=True, text=True, check=True)
    seconds, memory = json.loads(result.stdout)
    return float(seconds), float(memory)


def _measure_gpu(quick: bool) -> dict[str, Any]:
    import torch

    images = [Image.random(seed) for seed in range(_LAUNCHES)]
    pairs = [(torch.from_numpy(each.logits).cuda(), torch.from_numpy(each.boxes).cuda()) for each in images]
    outs = [
        Found(torch.empty((LIMIT, 6), device="cuda"), torch.empty(3, dtype=torch.int32, device="cuda"))
        for _ in pairs
    ]

    def every() -> None:
        for (logits, boxes), out in zip(pairs, outs, strict=True):
            detections(logits, boxes, threshold=THRESHOLD, limit=LIMIT, to_source=_TO_SOURCE, out=out)

    _check_gpu()
    every()
    for index, out in enumerate(outs):
        _assert_equal(f"image {index}", out.detections().cpu().numpy(), _by_torch(*pairs[index]))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        every()
    repeats = 10 if quick else 100
    found = gpu_s(graph.replay, repeats) * 1e6 / _LAUNCHES
    by_torch = gpu_s(lambda: [_by_torch(*each) for each in pairs], max(3, repeats // 10)) * 1e6 / _LAUNCHES
    return {
        "postprocess_us": round(found, 2),
        "postprocess_eager_us": round(gpu_s(every, repeats) * 1e6 / _LAUNCHES, 2),
        "postprocess_torch_us": round(by_torch, 2),
    }


def _check_gpu() -> None:
    """Raise unless a GPU gives what the reference gives where it is hard: equal scores, NaN, many of them."""
    import torch

    image = Image.random(_LAUNCHES)
    logits = np.round(image.logits)
    logits[7, 3], logits[11, 5] = np.nan, np.inf
    image.boxes[13] = np.inf
    for dtype in (np.float32, np.float16):
        for threshold in (0.0, 0.01, THRESHOLD):
            scores, boxes = logits.astype(dtype), image.boxes.astype(dtype)
            tensors = torch.from_numpy(scores).cuda(), torch.from_numpy(boxes).cuda()
            by_class = tensors[0].T.contiguous().T
            arguments: dict[str, Any] = {"threshold": threshold, "limit": LIMIT, "to_source": _TO_SOURCE}
            expected = detections.on("ref")(scores, boxes, **arguments)
            for given in (tensors[0], by_class):
                found = Found(*(each.cpu().numpy() for each in detections(given, tensors[1], **arguments)))
                if (found.counts != expected.counts).any():
                    raise AssertionError(
                        f"counts {found.counts} on the GPU, {expected.counts} by the reference"
                    )
                _assert_equal(f"threshold {threshold}", found.detections(), expected.detections())
