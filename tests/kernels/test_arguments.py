# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Arrays that a kernel could not take are refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS, check_array, device_of, dtype_name, same_device
from lowlat_nodes.kernels.errors import BadArgument


def check(array: Any, **changes: Any) -> str:
    return check_array("image", array, **{"dtypes": ["uint8"], "shape": [None, None, 3]} | changes)


def test_an_array_that_fits_tells_its_device() -> None:
    assert check(np.zeros((2, 5, 3), np.uint8)) == "cpu"
    assert check(np.zeros((0, 5, 3), np.uint8), empty=True) == "cpu"
    assert check(np.zeros((4, 5, 3), np.uint8)[::2], contiguous=False) == "cpu"


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 5, 3)), r"expected uint8, got float64"),
        (np.zeros((2, 5, 4), np.uint8), r"expected the shape \[any, any, 3\], got \[2, 5, 4\]"),
        (np.zeros((5, 3), np.uint8), r"expected the shape \[any, any, 3\], got \[5, 3\]"),
        (np.zeros((2, 0, 3), np.uint8), r"expected at least one element, got the shape \[2, 0, 3\]"),
        (np.zeros((4, 5, 3), np.uint8)[::2], r"expected contiguous elements, got the strides \(30, 3, 1\)"),
        ([[[1, 2, 3]]], r"expected an array of NumPy or torch, got list"),
        (
            np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (1 << 15, 1 << 15, 3)),
            rf"expected at most {MOST_ELEMENTS} elements, got 3221225472",
        ),
    ],
)
def test_an_array_that_does_not_fit_is_refused_with_the_reason(array: Any, reason: str) -> None:
    with pytest.raises(BadArgument, match=f"^image: {reason}"):
        check(array)


def test_arrays_on_several_devices_are_refused() -> None:
    assert same_device({"a": "cpu", "b": "cpu"}) == "cpu"
    with pytest.raises(BadArgument, match="expected all arrays on one device, got a on cpu, b on cuda"):
        same_device({"a": "cpu", "b": "cuda"})


@pytest.mark.torch
def test_tensors_are_checked_as_arrays_are() -> None:
    import torch

    assert check(torch.zeros((2, 5, 3), dtype=torch.uint8)) == "cpu"
    assert dtype_name(torch.zeros(1, dtype=torch.bfloat16)) == "bfloat16"
    with pytest.raises(BadArgument, match="expected contiguous elements"):
        check(torch.zeros((5, 2, 3), dtype=torch.uint8).transpose(0, 1))
    with pytest.raises(BadArgument, match="on the CPU or an NVIDIA GPU, got one on 'meta'"):
        device_of("image", torch.zeros(1, device="meta"))
