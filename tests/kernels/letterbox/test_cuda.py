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
from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS
from lowlat_nodes.kernels.letterbox.images import size_of

pytestmark = [pytest.mark.torch, pytest.mark.triton]
torch = pytest.importorskip("torch")
pytest.importorskip("triton")


def tensors(images: list[Any]) -> list[Any]:
    return [torch.from_numpy(np.asarray(image)) for image in images]


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def assert_as_reference(call: Call, *, filled: bool = False) -> None:
    guarded = Guarded(call)
    out = torch.from_numpy(guarded.out)
    expected = letterbox.on("ref")(*call.arguments(), out=guarded.out.copy(), filled=filled)
    made = letterbox.on("cuda")(tensors(call.images), *call.arguments()[1:], out=out, filled=filled)
    assert made is out
    guarded.assert_guards()
    off = np.abs(guarded.out.astype(np.float64) - expected)
    assert (off <= tolerance(call.target, pixel=1e-3)).all()


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("seed", range(0, 24, 6))
def test_equals_the_reference(seed: int, dtype: str) -> None:
    assert_as_reference(random_call(seed, dtype, count=6, largest=14))


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
    call = Call(Target(4, 5))
    rng = np.random.default_rng(7)
    sizes = [(3, 3), (4, 3), (3, 5)] if ENCODINGS[encoding].mosaic else [(1, 1), (1, 2), (2, 1)]
    for size in sizes:
        image = image_of(rng, encoding, *size)
        call.add(image, encoding, (1, 3, 1, 1))
        call.add(image, encoding, (0, 0, *(min(side, 4) for side in size_of(image, encoding))))
        call.add(image, encoding, (0, 0, 5, 4))
    assert_as_reference(call)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("factors", [(3, 3), (1, 5), (3, 2)])
def test_a_reduction_by_a_whole_factor(factors: tuple[int, int]) -> None:
    call = Call(Target(4, 9))
    for number, encoding in enumerate(ENCODINGS):
        image = image_of(np.random.default_rng(number), encoding, 8 * factors[0], 4 * factors[1])
        call.add(image, encoding, (1, 0, 8, 4))
    assert_as_reference(call)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_large_images_are_sampled_where_they_should_be() -> None:
    rng = np.random.default_rng(3)
    call = Call(Target(4, 9))
    for size in ((40_001, 5), (5, 40_001), (1_000_003, 1)):
        call.add(image_of(rng, "rgb", *size), "rgb", (1, 0, 7, 4))
    assert_as_reference(call)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_where_the_fill_is_there_already_only_images_are_written(dtype: str) -> None:
    call = Call(Target(14, 256, dtype, fill=99))
    call.add(image_of(np.random.default_rng(1), "rgba", 57, 31), "rgba", (119, 5, 45, 6))
    call.add(image_of(np.random.default_rng(2), "mono", 333, 11), "mono", (3, 0, 17, 3))
    assert_as_reference(call, filled=True)


def test_a_prepared_launch_reads_what_the_images_are_by_then() -> None:
    from lowlat_nodes.kernels.letterbox import cuda

    rng = np.random.default_rng(9)
    target = Target(4, 20)
    memory = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    out = torch.empty((1, 3, 4, 20))
    arguments = ["rgb"], [(2, 0, 16, 4)], target
    launch = cuda.prepared([torch.from_numpy(memory)], *arguments, out)
    for _ in range(2):
        memory[:] = rng.integers(0, 256, memory.shape)
        out.fill_(float("nan"))
        launch()
        assert np.abs(out.numpy() - letterbox.on("ref")([memory], *arguments)).max() < 1e-6


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
