# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The rules of the reference against OpenCV, and against figures that were worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from letterbox_cases import image_of

from lowlat_nodes.kernels.letterbox import Target, letterbox
from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS
from lowlat_nodes.kernels.letterbox.reference import resized, whole_colours

ref = letterbox.on("ref")
PIXELS = Target(4, 6, mean=(0, 0, 0), std=(1, 1, 1), fill=7)


@pytest.mark.parametrize("size", [(3, 3), (4, 3), (3, 4), (5, 8), (61, 37), (200, 64), (333, 101)])
@pytest.mark.parametrize("pattern", [name for name, each in ENCODINGS.items() if each.mosaic])
def test_mosaics_are_those_of_opencv(pattern: str, size: tuple[int, int]) -> None:
    mosaic = image_of(np.random.default_rng(sum(size)), pattern, *size)
    expected = cv2.cvtColor(mosaic, getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB"))
    assert np.array_equal(whole_colours(mosaic, pattern), expected)


@pytest.mark.parametrize("size", [(2, 2), (6, 4), (62, 40), (200, 64), (334, 102)])
@pytest.mark.parametrize("encoding", ["nv12", "yuyv", "uyvy"])
def test_yuv_is_that_of_opencv(encoding: str, size: tuple[int, int]) -> None:
    image = image_of(np.random.default_rng(sum(size)), encoding, *size)
    code = {"nv12": "NV12", "yuyv": "YUY2", "uyvy": "UYVY"}[encoding]
    expected = cv2.cvtColor(image, getattr(cv2, f"COLOR_YUV2RGB_{code}"))
    assert np.array_equal(whole_colours(image, encoding), expected)


def test_nv12_of_every_luma_and_chroma() -> None:
    luma = np.arange(256, dtype=np.uint8).repeat(2)
    chroma = np.arange(256, dtype=np.uint8)
    for u in range(0, 256, 5):
        pairs = np.stack([np.full(256, u, np.uint8), chroma], axis=-1).reshape(1, 512)
        image = np.concatenate([luma[None], luma[None, ::-1], pairs])
        assert np.array_equal(whole_colours(image, "nv12"), cv2.cvtColor(image, cv2.COLOR_YUV2RGB_NV12))


def test_sizes_are_changed_as_by_opencv_but_for_its_rounding() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        width, height, placed_width, placed_height = (int(size) for size in rng.integers(1, 150, 4))
        image = image_of(rng, "rgb", width, height)
        expected = cv2.resize(image, (placed_width, placed_height), interpolation=cv2.INTER_LINEAR)
        assert np.abs(resized(image.astype(np.int64), placed_width, placed_height) - expected).max() <= 1


def test_a_pixel_between_others_has_some_of_each() -> None:
    row = np.array([[[0] * 3, [100] * 3]], np.uint8)
    made = ref([row], ["rgb"], [(1, 1, 4, 2)], PIXELS)
    # Places -1/4, 1/4, 3/4, 5/4 of pixels 0 and 1.
    expected = np.full((4, 6), 7.0)
    expected[1:3, 1:5] = [0, 25, 75, 100]
    assert np.array_equal(made[0], np.broadcast_to(expected, (3, 4, 6)))


def test_channels_stand_in_the_order_of_the_network_and_have_its_mean_and_std() -> None:
    image = np.full((1, 1, 3), (10, 20, 30), np.uint8)
    target = Target(1, 1, channels="bgr", mean=(1, 2, 3), std=(2, 4, -8))
    made = ref([image, image], ["rgb", "bgr"], [(0, 0, 1, 1)] * 2, target)
    assert made.reshape(2, 3).tolist() == [[14.5, 4.5, -0.875], [4.5, 4.5, -3.375]]


def test_steps_of_int8_are_rounded_from_the_middle_to_even_ones_and_kept_in_range() -> None:
    values = np.array([0, 1, 2, 3, 5, 7, 249, 250, 255], np.uint8)
    image = np.stack([values] * 3, axis=-1)[None]
    target = Target(1, 9, "int8", std=(1, 1, -1), scale=2.0, zero_point=2)
    made = ref([image], ["rgb"], [(0, 0, 9, 1)], target)[0, :, 0]
    # Halves 0.5, 1.5, 2.5, 3.5 become 0, 2, 2, 4.
    assert made[0].tolist() == [2, 2, 3, 4, 4, 6, 126, 127, 127]
    assert made[2].tolist() == [2, 2, 1, 0, 0, -2, -122, -123, -126]
    assert (
        ref([image], ["rgb"], [(0, 0, 9, 1)], Target(1, 9, "int8", mean=(255,) * 3, std=(1,) * 3)).min()
        == -128
    )


def test_alpha_is_left_out_and_grey_is_every_colour() -> None:
    assert whole_colours(np.array([[[1, 2, 3, 4]]], np.uint8), "rgba").tolist() == [[[1, 2, 3]]]
    assert whole_colours(np.array([[[1, 2, 3, 4]]], np.uint8), "bgra").tolist() == [[[3, 2, 1]]]
    assert whole_colours(np.array([[5, 6]], np.uint8), "mono").tolist() == [[[5] * 3, [6] * 3]]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_new_output_is_of_the_dtype(dtype: str) -> None:
    made = ref([np.zeros((2, 2, 3), np.uint8)], ["rgb"], [(0, 0, 6, 4)], Target(4, 6, dtype))
    assert (made.dtype, made.shape) == (np.dtype(dtype), (1, 3, 4, 6))
