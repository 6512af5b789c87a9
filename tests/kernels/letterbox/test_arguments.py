# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the letterbox refuses, before it writes anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from letterbox_cases import Call, Guarded

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.letterbox import Target, letterbox

IMAGE = np.zeros((8, 10, 3), np.uint8)


def call_of(image: Any = IMAGE, encoding: str = "rgb", placement: Any = (0, 0, 4, 4)) -> Call:
    call = Call(Target(6, 4))
    call.add(IMAGE, "rgb", (0, 0, 4, 6))
    call.add(image, encoding, placement)
    return call


def vast(shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    """Return an array that claims memory which it has not; nothing may be read of it."""
    return np.lib.stride_tricks.as_strided(IMAGE, shape, strides)


@pytest.mark.parametrize(
    ("image", "encoding", "reason"),
    [
        (IMAGE, "yuv", r"images\[1\]: expected the encoding to be one of rgb, bgr, .*; got 'yuv'"),
        (IMAGE[:0], "rgb", "expected at least one element"),
        (IMAGE[:, :0], "bgr", "expected at least one element"),
        (IMAGE[..., 0][:0], "rggb", "expected at least one element"),
        (IMAGE.astype(np.int8), "rgb", "expected uint8, got int8"),
        (IMAGE.astype(np.float32), "rgb", "expected uint8, got float32"),
        (IMAGE[..., 0], "rgb", r"expected the shape \[any, any, 3\], got \[8, 10\]"),
        (IMAGE[..., :2], "rgb", r"expected the shape \[any, any, 3\]"),
        (IMAGE, "nv12", r"expected the shape \[any, any\], got \[8, 10, 3\]"),
        (np.zeros((8, 10), np.uint8), "nv12", "expected a multiple of 3 rows and of 2 columns for nv12"),
        (np.zeros((9, 9), np.uint8), "nv12", "expected a multiple of 3 rows and of 2 columns for nv12"),
        (np.zeros((4, 5, 2), np.uint8), "yuyv", "expected an even width for yuyv, got 5 px"),
        (IMAGE, "rgba", r"expected the shape \[any, any, 4\], got \[8, 10, 3\]"),
        (np.zeros((2, 10), np.uint8), "grbg", "expected at least 3 rows and columns for grbg"),
        (IMAGE[:, ::2], "rgb", "expected the bytes of a row one after another.*copy it"),
        (IMAGE[..., ::-1], "rgb", "expected the bytes of a row one after another.*copy it"),
        (IMAGE.transpose(1, 0, 2), "rgb", "expected the bytes of a row one after another.*copy it"),
        (IMAGE[..., 0], "bggr", "expected the bytes of a row one after another.*copy it"),
        (IMAGE[::-1], "rgb", "and rows from the top to the bottom.*copy it"),
        (vast((1 << 15, 1 << 15, 3), (3 << 15, 3, 1)), "rgb", "expected at most 2147483647 elements"),
        (
            vast((3, 4, 3), (1 << 30, 3, 1)),
            "rgb",
            "expected at most 2147483647 bytes from its first to its last",
        ),
        ([[1, 2, 3]], "rgb", "expected an array of NumPy or torch, got list"),
    ],
)
def test_images(image: Any, encoding: str, reason: str) -> None:
    refused(call_of(image, encoding), reason)


@pytest.mark.parametrize(
    "placement", [(-1, 0, 2, 2), (0, -1, 2, 2), (0, 0, 0, 2), (0, 0, 2, 0), (3, 0, 2, 2), (0, 5, 1, 2)]
)
def test_placements(placement: tuple[int, int, int, int]) -> None:
    refused(
        call_of(placement=placement), r"placements\[1\]: expected left, top, width and height within 4 x 6 px"
    )


@pytest.mark.parametrize("placement", [(0, 0, 1), (0, 0, 1.5, 1)])
def test_placements_that_are_none(placement: tuple[float, ...]) -> None:
    refused(
        call_of(placement=placement), r"placements\[1\]: expected left, top, width and height as whole px"
    )


def refused(call: Call, reason: str, arguments: Any = None, out: Any = None) -> None:
    """Check that every implementation refuses a call and writes nothing."""
    guarded = Guarded(call)
    out = guarded.out if out is None else out(guarded.out)
    for each in (letterbox, letterbox.on("ref"), letterbox.on("cpu")):
        with pytest.raises(BadArgument, match=reason):
            each(*(arguments or call.arguments()), out=out)
    guarded.assert_untouched()


def test_no_images_or_not_as_much_of_everything() -> None:
    call = call_of()
    refused(call, "images: expected at least one, got an empty list", ([], [], [], call.target))
    refused(call, "for each of 1 images, got 2 encodings and 2", (call.images[:1], *call.arguments()[1:]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda out: out.view(np.int32), "out: expected float32, got int32"),
        (lambda out: out[:1], r"out: expected the shape \[2, 3, 6, 4\], got \[1, 3, 6, 4\]"),
        (lambda out: out[..., ::-1], "out: expected contiguous elements"),
        (
            lambda out: out.transpose(0, 1, 3, 2),
            r"out: expected the shape \[2, 3, 6, 4\], got \[2, 3, 4, 6\]",
        ),
    ],
)
def test_outputs(change: Callable[[Any], Any], reason: str) -> None:
    refused(call_of(), reason, out=change)


def test_an_output_beyond_int32_is_refused_before_it_is_made() -> None:
    target = Target(20_000, 20_000)
    with pytest.raises(BadArgument, match="expected at most 2147483647 elements"):
        letterbox([IMAGE] * 2, ["rgb"] * 2, [(0, 0, 4, 4)] * 2, target)


def test_what_has_its_fill_must_be_there() -> None:
    with pytest.raises(BadArgument, match="filled: expected `out` with it"):
        letterbox(*call_of().arguments(), filled=True)


@pytest.mark.torch
def test_tensors_elsewhere() -> None:
    torch = pytest.importorskip("torch")
    elsewhere = torch.zeros((8, 10, 3), dtype=torch.uint8, device="meta")
    refused(call_of(elsewhere), "expected a tensor on the CPU or an NVIDIA GPU, got one on 'meta'")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"height": 0}, "target: expected 1 to 715827882 px, got 4 x 0"),
        ({"height": 1 << 16, "width": 1 << 16}, "target: expected 1 to 715827882 px"),
        ({"dtype": "float64"}, "target.dtype: expected one of float32, float16, int8; got 'float64'"),
        ({"channels": "grb"}, "target.channels: expected one of rgb, bgr; got 'grb'"),
        ({"mean": (0.0, float("nan"), 0.0)}, "target.mean: expected a tuple of 3 finite numbers"),
        ({"mean": [0.0, 0.0, 0.0]}, "target.mean: expected a tuple of 3 finite numbers"),
        ({"mean": (0.0, 0.0)}, "target.mean: expected a tuple of 3 finite numbers"),
        ({"std": (1.0, float("inf"), 1.0)}, "target.std: expected a tuple of 3 finite numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "target.std: expected no zero"),
        ({"std": (1.0, 1e-3, 1.0), "dtype": "float16"}, "numbers which float16 can hold"),
        ({"std": (1.0, 1e-320, 1.0)}, "numbers which float32 can hold"),
        ({"scale": 1e-300, "std": (1e-300,) * 3, "dtype": "int8"}, "numbers which float32 can hold"),
        ({"fill": 256.0}, "target.fill: expected 0 to 255, got 256.0"),
        ({"fill": float("nan")}, "target.fill: expected 0 to 255, got nan"),
        ({"scale": 0.0, "dtype": "int8"}, "target.scale: expected a positive number, got 0.0"),
        ({"zero_point": 128, "dtype": "int8"}, "target.zero_point: expected -128 to 127, got 128"),
    ],
)
def test_targets(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadArgument, match=reason):
        Target(**({"height": 6, "width": 4} | changes))
