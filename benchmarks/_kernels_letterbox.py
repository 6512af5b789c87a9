# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox against a chain of OpenCV's functions, on one thread each; on a GPU against a copy.

On the CPU both sides turn the same images, uint8 in rgb, into the same float32 [N, 3, height, width], in
turns and each with one thread:

- ours: the operation `letterbox`, its checks included, into an output that is there already;
- the chain, as a careful user writes it: for each image `cv2.resize` (bilinear) and `cv2.copyMakeBorder`,
  then `cv2.dnn.blobFromImages` with a scale of 1 / 255 for all, which casts, normalises and transposes. It
  has no output to give, and makes fresh arrays.

The network wants values of 0 to 1, which favours the chain: other means and deviations take it two steps
more. Times are those of the thread by its own clock, so that whatever else the machine does counts little.

On a GPU what must move is the sectors of 32 bytes that have a pixel with weight, and the output; images and
outputs go round, so that neither is in the cache. A launch is timed inside a CUDA graph of many.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.benchmarks._gpu_clock import gpu_s
from lowlat_nodes.kernels.letterbox import Placement, Target, letterbox
from lowlat_nodes.vision.placement import Placement as Letterboxed

FILL = 114
SECTOR = 32  # bytes that a GPU reads at once
LARGEST_DIFFERENCE = 1e-6  # of values from 0 to 1, between results that count as equal
LARGE_BATCH = 64
_COPIED = 1 << 30  # bytes


@dataclass(frozen=True)
class Case:
    """Images of one size, and the side of the square that the network wants."""

    name: str
    count: int
    width: int
    height: int
    side: int

    @property
    def placement(self) -> Placement:
        """Return where each image goes."""
        placed = Letterboxed.letterbox(self.width, self.height, self.side, self.side)
        return placed.left, placed.top, placed.scaled_width, placed.scaled_height

    @property
    def moved_bytes(self) -> int:
        """Return the bytes that a GPU must read and write for one image into float16."""
        _, _, width, height = self.placement
        columns = (_weighed(self.width, width)[:, None] * 3 + np.arange(3)) // SECTOR
        read = len(_weighed(self.height, height)) * len(np.unique(columns)) * SECTOR
        return read + 3 * self.side**2 * np.dtype(np.float16).itemsize


CASES = (Case("1080p_to_640", 1, 1920, 1080, 640), Case("3x480x640_to_224", 3, 640, 480, 224))


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return the figures of a device.

    ============================== =================================================================
    letterbox_speedup_vs_cv2_chain the lower one of the two cases; the bar is 1
    letterbox_cases                of each: the median of the ratios of all rounds, and of the times
    letterbox_largest_difference   between both results, of values from 0 to 1
    letterbox_copy_fraction        on a GPU, 1080p to 640 in float16: what must move, over the time, over
                                   what a copy moves in that time, for batches of 1 and of many; the bar is
                                   0.8 for many
    letterbox_gpu_us               for each of these batches, the time of a launch
    letterbox_copy_gb_s            what a copy of 1 GiB moves, reading and writing
    ============================== =================================================================
    """
    if device == "cuda":
        return _measure_gpu(quick)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        cases = {case.name: _compare(case, 20 if quick else 300) for case in CASES}
    finally:
        cv2.setNumThreads(threads)
    return {
        "letterbox_speedup_vs_cv2_chain": min(case["speedup"] for case in cases.values()),
        "letterbox_largest_difference": max(case.pop("difference") for case in cases.values()),
        "letterbox_cases": cases,
    }


def _compare(case: Case, rounds: int) -> dict[str, float]:
    """Return the figures of one case."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (case.height, case.width, 3), dtype=np.uint8) for _ in range(case.count)]
    target = Target(case.side, case.side, fill=FILL)
    out = np.empty((case.count, 3, case.side, case.side), np.float32)
    placements = [case.placement] * case.count

    def ours() -> NDArray[Any]:
        made: NDArray[Any] = letterbox(images, ["rgb"] * case.count, placements, target, out=out)
        return made

    difference = float(np.abs(ours() - _chain(images, case)).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise AssertionError(
            f"{case.name}: both sides differ by {difference}, more than {LARGEST_DIFFERENCE}"
        )
    times = [(_thread_s(ours), _thread_s(lambda: _chain(images, case))) for _ in range(rounds)]
    return {
        "speedup": round(statistics.median(chain / own for own, chain in times), 2),
        "ours_ms": round(statistics.median(own for own, _ in times) * 1e3, 3),
        "chain_ms": round(statistics.median(chain for _, chain in times) * 1e3, 3),
        "difference": difference,
    }


def _chain(images: Sequence[NDArray[np.uint8]], case: Case) -> NDArray[np.float32]:
    left, top, width, height = case.placement
    borders = top, case.side - height - top, left, case.side - width - left
    padded = [
        cv2.copyMakeBorder(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR),
            *borders,
            cv2.BORDER_CONSTANT,
            value=(FILL,) * 3,
        )
        for image in images
    ]
    return np.asarray(cv2.dnn.blobFromImages(padded, 1 / 255), np.float32)


def _thread_s(call: Callable[[], Any]) -> float:
    """Return how long this thread was at work in a call."""
    before = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - before) * 1e-9


def _weighed(source: int, target: int) -> NDArray[np.int64]:
    """Return the rows, or columns, of a source that have a weight in any pixel of a target."""
    place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    before = np.floor(place).astype(np.int64)
    return np.unique(np.concatenate([before, before[place > before] + 1]))


def _measure_gpu(quick: bool) -> dict[str, Any]:
    copied = _copy_bytes_s(5 if quick else 30)
    fractions, times = {}, {}
    for batch in (1, LARGE_BATCH):
        seconds = _launch_s(CASES[0], batch, 5 if quick else 30)
        fractions[f"batch_{batch}"] = round(batch * CASES[0].moved_bytes / seconds / copied, 3)
        times[f"batch_{batch}"] = round(seconds * 1e6, 2)
    return {
        "letterbox_copy_fraction": fractions,
        "letterbox_gpu_us": times,
        "letterbox_copy_gb_s": round(copied / 1e9, 1),
    }


def _copy_bytes_s(repeats: int) -> float:
    """Return how many bytes a second a copy within a GPU reads and writes, together."""
    import torch

    source, copy = (torch.zeros(_COPIED, dtype=torch.uint8, device="cuda") for _ in range(2))
    return 2 * _COPIED / gpu_s(lambda: copy.copy_(source), repeats)


def _launch_s(case: Case, batch: int, repeats: int) -> float:
    """Return how long one launch takes, among others on other images; its result is checked first."""
    import torch

    from lowlat_nodes.kernels.letterbox import cuda

    shape = LARGE_BATCH, case.height, case.width, 3
    images = list(torch.randint(0, 256, shape, dtype=torch.uint8, device="cuda"))
    target = Target(case.side, case.side, "float16", fill=FILL)
    out = torch.empty((LARGE_BATCH, 3, case.side, case.side), dtype=torch.float16, device="cuda")
    encodings, placements = ["rgb"] * batch, [case.placement] * batch
    expected = letterbox.on("ref")([images[0].cpu().numpy()], ["rgb"], placements[:1], target)
    found = letterbox(images[:batch], encodings, placements, target, out=out[:batch])[0].cpu().numpy()
    if not np.abs(found.astype(np.float64) - expected[0]).max() <= 2.0**-11:
        raise AssertionError(f"{case.name}: the GPU's result is not that of the reference")
    launches = [
        cuda.prepared(
            images[first : first + batch], encodings, placements, target, out[first : first + batch]
        )
        for first in range(0, LARGE_BATCH, batch)
    ]
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for launch in launches:
            launch()
    return gpu_s(graph.replay, repeats) / len(launches)
