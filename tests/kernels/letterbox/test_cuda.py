# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox of Triton, in its interpreter, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from letterbox_cases import Call, Guarded, image_of, random_call, tolerance

from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.letterbox import Target, letterbox
from lowlat_nodes.kernels.letterbox.images import ENCODINGS, size_of

pytestmark = [pytest.mark.torch, pytest.mark.triton]
torch = pytest.importorskip("torch")
pytest.importorskip("triton")


def tensors(images: list[Any]) -> list[Any]:
    return [torch.from_numpy(np.asarray(image)) for image in images]


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def assert_as_reference(call: Call) -> None:
    guarded = Guarded(call)
    out = torch.from_numpy(guarded.out)
    assert letterbox.on("cuda")(tensors(call.images), *call.arguments()[1:], out=out) is out
    guarded.assert_guards()
    off = np.abs(guarded.out.astype(np.float64) - letterbox.on("ref")(*call.arguments()))
    assert (off <= tolerance(call.target, pixel=1e-3)).all()


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_reference(seed: int, dtype: str) -> None:
    assert_as_reference(random_call(seed, dtype, count=7, largest=20))


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("width", [200, 256])
def test_several_tiles_some_without_any_of_the_image(width: int) -> None:
    call = Call(Target(14, width, "float16", fill=99))
    call.add(image_of(np.random.default_rng(1), "bgr", 57, 31), "bgr", (119, 5, 45, 6))
    call.add(image_of(np.random.default_rng(2), "gbrg", 333, 11), "gbrg", (0, 0, width, 3))
    assert_as_reference(call)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_smallest_images_and_places(encoding: str) -> None:
    call = Call(Target(6, 5))
    rng = np.random.default_rng(7)
    sizes = [(1, 1), (1, 2), (2, 1)] if encoding in ("rgb", "bgr") else [(3, 3), (4, 3), (3, 5)]
    for size in sizes:
        image = image_of(rng, encoding, *size)
        call.add(image, encoding, (1, 2, 1, 1))
        call.add(image, encoding, (0, 0, *(min(side, 5) for side in size_of(image, encoding))))
        call.add(image, encoding, (0, 0, 5, 6))
    assert_as_reference(call)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_large_images_are_sampled_where_they_should_be() -> None:
    rng = np.random.default_rng(3)
    call = Call(Target(4, 9))
    for size in ((40_001, 5), (5, 40_001), (1_000_003, 1)):
        call.add(image_of(rng, "rgb", *size), "rgb", (1, 0, 7, 4))
    assert_as_reference(call)


def test_arrays_of_the_host_are_refused_and_nothing_written() -> None:
    call = random_call(1, "float32", count=2, largest=10)
    guarded = Guarded(call)
    with pytest.raises(BadArgument, match="expected tensors on an NVIDIA GPU, got an array of the host"):
        letterbox.on("cuda")(*call.arguments(), out=guarded.out)
    guarded.assert_untouched()


def test_more_rows_than_a_grid_has_blocks_are_refused() -> None:
    call = Call(Target(4 * 65535 + 1, 1))
    call.add(np.zeros((1, 1, 3), np.uint8), "rgb", (0, 0, 1, 1))
    with pytest.raises(BadArgument, match="expected at most 65535 images and 262140 rows"):
        letterbox.on("cuda")(tensors(call.images), *call.arguments()[1:])
