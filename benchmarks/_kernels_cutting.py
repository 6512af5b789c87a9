# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What it costs to run a model in parts, and how long these are.

The model in one piece and in parts take turns, in blocks, as each must find its own constants in the caches
as it would in a node; the first run of a block is not timed. Results are compared bit by bit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from lowlat_nodes import resources
from lowlat_nodes.inference.example import example
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import Model
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.segments.cut import cut

IMAGE = ImageInput("images", 320, 320)
CASES = (("shapes", 5.0), ("shapes", 3.0), ("shapes_int8", 5.0), ("reach_flow", 1.0))
"""Model, and what a part may take, ms."""

_BLOCKS, _BLOCK = 40, 6
_QUICK_BLOCKS = 4


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return `cutting`, a list of cases, for the CPU, where models are cut.

    ============== =================================================================================
    model          the name of one that ships
    wished_ms      what a part may take
    parts          how many there are
    longest_ms     the longest of them, median
    whole_ms       the model in one piece, median
    overhead       how much longer it takes in parts: the median over blocks of the ratio of medians, less 1
    equal          whether both give the same bits
    ============== =================================================================================
    """
    if device != "cpu":
        return {}
    blocks = _QUICK_BLOCKS if quick else _BLOCKS
    return {"cutting": [_case(name, wished_ms, blocks) for name, wished_ms in CASES]}


def _case(name: str, wished_ms: float, blocks: int) -> dict[str, Any]:
    path = resources.model(name)
    image = IMAGE if name.startswith("shapes") else None

    def feed(model: Model) -> Mapping[str, np.ndarray]:
        return example(model, image, {})

    found = cut(path, wished_ms, feed, image=image)
    whole = OnnxModel(path, image=image)
    given, outputs = feed(whole), list(whole.outputs)
    expected = [array.copy() for array in whole.run(given, outputs)]
    equal = all(
        np.array_equal(right, made)
        for right, made in zip(expected, found.model.run(given, outputs), strict=True)
    )
    medians = {"whole": [0.0] * blocks, "parts": [0.0] * blocks}
    sides: dict[str, Model] = {"whole": whole, "parts": found.model}
    for block in range(blocks):
        for side in sorted(sides, reverse=bool(block % 2)):
            medians[side][block] = _block_ms(sides[side], given, outputs)
    ratios = np.divide(medians["parts"], medians["whole"])
    return {
        "model": name,
        "wished_ms": wished_ms,
        "parts": len(found.times_ns),
        "longest_ms": round(max(found.times_ns) * 1e-6, 3),
        "whole_ms": round(float(np.median(medians["whole"])), 3),
        "overhead": round(float(np.median(ratios)) - 1.0, 4),
        "equal": equal,
    }


def _block_ms(model: Model, feed: Mapping[str, np.ndarray], outputs: list[str]) -> float:
    model.run(feed, outputs)
    taken = []
    for _ in range(_BLOCK):
        begin_ns = time.perf_counter_ns()
        model.run(feed, outputs)
        taken.append((time.perf_counter_ns() - begin_ns) * 1e-6)
    return float(np.median(taken))
