# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One thread for torch, images to learn from beside this file, and weights under published names."""

from __future__ import annotations

import functools
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """Every test here runs on one thread, from the same seed."""


@pytest.fixture(scope="session")
def published() -> Callable[..., dict[str, Tensor]]:
    """Return what makes a checkpoint of a scale, under published names; each name decides its numbers."""
    import torch

    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.published import to_published
    from lowlat_nodes.train.yolov10.scales import SCALES

    @functools.cache
    def numbers(scale: str, classes: int) -> dict[str, Tensor]:
        with torch.device("meta"):
            model = YoloV10(SCALES[scale], classes)
        return {
            name: value if "dfl" in name else torch.from_numpy(_numbers(name, tuple(value.shape)))
            for name, value in to_published(model).items()
        }

    return lambda scale, classes=80: dict(numbers(scale, classes))


def _numbers(name: str, shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.array(7)
    if name.endswith(("running_var", "bn.weight")):
        return random.uniform(0.7, 1.3, shape).astype(np.float32)
    scale = (2.0 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
    return random.normal(0.0, scale, shape).astype(np.float32)
