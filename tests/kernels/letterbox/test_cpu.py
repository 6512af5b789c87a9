# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox of OpenCV against the reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from letterbox_cases import Call, Guarded, image_of, random_call, tolerance

from lowlat_nodes.kernels.letterbox import Target, letterbox
from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS

cpu, ref = letterbox.on("cpu"), letterbox.on("ref")


def assert_as_reference(call: Call) -> None:
    guarded = Guarded(call)
    assert cpu(*call.arguments(), out=guarded.out) is guarded.out
    guarded.assert_guards()
    off = np.abs(guarded.out.astype(np.float64) - ref(*call.arguments()))
    assert (off <= tolerance(call.target, pixel=1.0)).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("seed", range(20))
def test_equals_the_reference_but_for_the_rounding_of_pixels(seed: int, dtype: str) -> None:
    assert_as_reference(random_call(seed, dtype, count=3, largest=150, of=250))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_image_of_the_size_of_its_place_is_exact(encoding: str) -> None:
    rng = np.random.default_rng(3)
    call = Call(Target(40, 60, mean=(1, 2, 3), std=(4, 5, 6)))
    call.add(image_of(rng, encoding, 38, 30), encoding, (5, 7, 38, 30))
    assert np.array_equal(cpu(*call.arguments()), ref(*call.arguments()))


@pytest.mark.parametrize("factors", [(3, 3), (1, 5), (7, 3)])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_reduction_by_an_odd_factor_is_exact(encoding: str, factors: tuple[int, int]) -> None:
    call = Call(Target(20, 30))
    image = image_of(np.random.default_rng(4), encoding, 10 * factors[0], 8 * factors[1])
    call.add(image, encoding, (5, 7, 10, 8))
    assert np.array_equal(cpu(*call.arguments()), ref(*call.arguments()))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_where_the_fill_is_there_already_only_images_are_written(dtype: str) -> None:
    call = random_call(6, dtype, count=12, largest=60)
    guarded = Guarded(call)
    for run in (ref, cpu):
        before = guarded.out.copy()
        run(*call.arguments(), out=guarded.out, filled=True)
        expected = run(*call.arguments())
        for made, old, whole, (left, top, width, height) in zip(
            guarded.out, before, expected, call.placements, strict=True
        ):
            old[:, top : top + height, left : left + width] = whole[
                :, top : top + height, left : left + width
            ]
            assert made.tobytes() == old.tobytes()
        guarded.assert_guards()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_colours_alone_are_the_same_bits_as_the_reference(dtype: str) -> None:
    every = np.arange(256, dtype=np.uint8)
    call = Call(Target(1, 256, dtype, "bgr", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), scale=0.02))
    call.add(np.stack([every, every[::-1], every ^ 0x55], axis=-1)[None], "rgb", (0, 0, 256, 1))
    assert cpu(*call.arguments()).tobytes() == ref(*call.arguments()).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2)])
def test_one_long_row_or_column(size: tuple[int, int]) -> None:
    call = Call(Target(9, 7))
    for place in ((0, 0, 7, 9), (3, 4, 1, 1), (6, 0, 1, 9), (0, 8, 7, 1)):
        call.add(image_of(np.random.default_rng(0), "rgb", *size), "rgb", place)
    assert_as_reference(call)


def test_what_one_call_left_does_not_show_in_the_next() -> None:
    large = random_call(1, "float32", count=7, largest=200, of=300)
    cpu(*large.arguments())
    for seed in range(7):
        assert_as_reference(random_call(seed, "float32", count=1, largest=50, of=60))


def test_threads_do_not_share_what_lies_between_steps() -> None:
    calls = [random_call(seed, "float32", count=7, largest=200, of=200) for seed in (1, 2)]
    expected = [cpu(*call.arguments()).copy() for call in calls]

    def repeated(number: int) -> list[bool]:
        return [np.array_equal(cpu(*calls[number].arguments()), expected[number]) for _ in range(20)]

    with ThreadPoolExecutor(2) as threads:
        assert all(all(same) for same in threads.map(repeated, (0, 1)))


@pytest.mark.torch
def test_tensors_of_the_host_are_read_and_written_where_they_are() -> None:
    torch = pytest.importorskip("torch")
    call = random_call(4, "float16", count=3, largest=40)
    images = [torch.from_numpy(image.copy()) for image in call.images]
    made = letterbox(images, *call.arguments()[1:])
    assert isinstance(made, torch.Tensor)
    assert np.array_equal(made.numpy(), letterbox(*call.arguments()))
    out = torch.empty_like(made)
    assert letterbox(images, *call.arguments()[1:], out=out) is out
    assert torch.equal(out, made)
