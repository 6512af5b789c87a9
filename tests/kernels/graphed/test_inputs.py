# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy takes, and what is said of anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.inputs import Input, Inputs, like

INPUTS = Inputs(
    {
        "state": Input("float32", ("batch", 6)),
        "words": Input("int64", ("batch", "words")),
        "image": Input("uint8", (4, 5, 3)),
        "steps": Input("int64", (1,), on_host=True),
    }
)


def given(**changes: Any) -> dict[str, Any]:
    arrays = {
        "state": np.zeros((2, 6), np.float32),
        "words": np.zeros((2, 7), np.int64),
        "image": np.zeros((4, 5, 3), np.uint8),
        "steps": np.array([3]),
    }
    return {name: array for name, array in (arrays | changes).items() if array is not None}


def test_the_sizes_of_axes_are_read_off() -> None:
    assert INPUTS.axes == ("batch", "words")
    assert INPUTS.check(given()) == {"batch": 2, "words": 7}
    assert list(INPUTS.on_device) == ["state", "words", "image"]
    assert list(INPUTS.on_host) == ["steps"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": None}, "missing: state, unknown: none"),
        ({"stat": np.zeros(3)}, "missing: none, unknown: stat"),
        ({"state": np.zeros((2, 6))}, "state: expected float32, got float64; convert it"),
        ({"state": np.zeros((2, 6), ">f4")}, "state: expected float32, got >f4"),
        ({"state": np.zeros((2, 5), np.float32)}, r"state: expected the shape \[batch, 6\], got \[2, 5\]"),
        ({"state": np.zeros(6, np.float32)}, r"state: expected the shape \[batch, 6\], got \[6\]"),
        ({"image": np.zeros((5, 4, 3), np.uint8)}, r"image: expected the shape \[4, 5, 3\]"),
        ({"words": np.zeros((3, 7), np.int64)}, r"words: expected 2 for batch, as before it, got \[3, 7\]"),
        ({"words": np.zeros((2, 0), np.int64)}, r"words: expected 1 to 2147483647 elements, got .* \[2, 0\]"),
        ({"state": [[0.0] * 6]}, "state: expected an array of NumPy or torch, got list"),
    ],
)
def test_anything_else_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadArgument, match=words):
        INPUTS.check(given(**changes))


def test_an_array_larger_than_kernels_can_count_is_refused() -> None:
    inputs = Inputs({"x": Input("uint8", ("n", "m"))})
    large = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (1 << 16, 1 << 15), (0, 0))
    with pytest.raises(BadArgument, match="expected 1 to 2147483647 elements"):
        inputs.check({"x": large})


@pytest.mark.parametrize(
    ("dtype", "shape", "on_host", "words"),
    [
        ("float31", (1,), False, "expected a dtype of float64, .*, got 'float31'"),
        ("float32", (0, 3), False, r"expected sizes of 1 or more, or names, got \[0, 3\]"),
        ("int64", (65,), True, "expected at most 64 elements of fixed sizes on the host"),
        ("int64", ("n",), True, "of fixed sizes on the host"),
    ],
)
def test_what_makes_no_input(dtype: str, shape: tuple[int | str, ...], on_host: bool, words: str) -> None:
    with pytest.raises(BadArgument, match=words):
        Input(dtype, shape, on_host=on_host)


def test_some_input_must_go_to_the_device() -> None:
    with pytest.raises(BadArgument, match="expected at least one input"):
        Inputs({})
    with pytest.raises(BadArgument, match="expected an input that goes to the device, got only steps"):
        Inputs({"steps": Input("int64", (1,), on_host=True)})


def test_an_input_like_an_array() -> None:
    assert like("x", np.zeros((2, 3), bool)) == Input("bool", (2, 3))
    with pytest.raises(BadArgument, match=r"x: expected sizes of 1 or more, or names, got \[0, 3\]"):
        like("x", np.zeros((0, 3)))
    with pytest.raises(BadArgument, match=r"x: expected a dtype of .*, got 'complex128'"):
        like("x", np.zeros(3, complex))


@pytest.mark.torch
def test_tensors_are_checked_as_arrays_are() -> None:
    torch = pytest.importorskip("torch")
    half = Inputs({"x": Input("bfloat16", ("n",))})
    assert half.check({"x": torch.zeros(3, dtype=torch.bfloat16)}) == {"n": 3}
    with pytest.raises(BadArgument, match="x: expected bfloat16, got float16"):
        half.check({"x": torch.zeros(3, dtype=torch.float16)})
    with pytest.raises(BadArgument, match="expected a tensor on the CPU or an NVIDIA GPU, got one on 'meta'"):
        half.check({"x": torch.zeros(3, dtype=torch.bfloat16, device="meta")})
