# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernels are launched on the GPU of their tensors, which is not always the current one of the thread."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.detections import detections
from lowlat_nodes.kernels.gaussian_process import Curves, gaussian_process
from lowlat_nodes.kernels.letterbox import Target, letterbox

pytestmark = [pytest.mark.torch, pytest.mark.triton]


def detect() -> None:
    import torch

    detections.on("cuda")(torch.rand(4, 2), torch.rand(4, 4), threshold=0.5, limit=2)


def interpolate() -> None:
    import torch

    one = torch.ones(1, dtype=torch.float64)
    curves = Curves(torch.tensor([0, 1]), one, one, one, one)
    gaussian_process.on("cuda")(curves, one, one, 1.0, one, steps=2)


def place() -> None:
    import torch

    image = torch.from_numpy(np.zeros((2, 4, 3), np.uint8))
    letterbox.on("cuda")([image], ["rgb"], [(0, 0, 4, 2)], Target(2, 4))


@pytest.mark.parametrize(
    ("package", "run"), [("detections", detect), ("gaussian_process", interpolate), ("letterbox", place)]
)
def test_a_kernel_is_launched_beside_its_tensors(
    package: str, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"lowlat_nodes.kernels.{package}.cuda")
    beside, seen = module.beside, []

    @contextmanager
    def watched(tensor: Any) -> Iterator[None]:
        with beside(tensor):
            yield
        seen.append(tensor.device)  # once all that is within was launched

    monkeypatch.setattr(module, "beside", watched)
    run()
    assert len(seen) == 1
