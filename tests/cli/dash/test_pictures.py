# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from lowlat_nodes.cli.dash.pictures import WIDEST, Pictures, picture, size
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.nodes.watch.seen import Frame
from lowlat_nodes.stream.payload import CompressedImage, Image

RED = (200, 30, 40)


def red(width: int, height: int) -> Image:
    return Image(np.full((height, width, 3), RED, np.uint8), "rgb8")


def file_of(width: int, height: int, kind: str = ".jpg") -> CompressedImage:
    _, data = cv2.imencode(kind, np.full((height, width, 3), RED[::-1], np.uint8))
    return CompressedImage(np.asarray(data).reshape(-1), kind[1:].replace("jpg", "jpeg"))


def decoded(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels)[:, :, ::-1]


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        (red(160, 120), (120, 160)),
        (red(640, 480), (480, 640)),
        (red(1920, 1080), (360, 640)),
        (red(2000, 1), (1, 640)),
        (file_of(320, 240), (240, 320)),
        (file_of(1280, 720), (360, 640)),
        (file_of(2000, 1000), (320, 640)),
        (file_of(700, 350, ".png"), (320, 640)),
        (file_of(64, 48, ".png"), (48, 64)),
    ],
)
def test_a_picture_is_no_wider_than_the_page_shows_it(image: Any, shape: tuple[int, int]) -> None:
    found = decoded(picture(image))
    assert found.shape[:2] == shape
    assert found.shape[1] <= WIDEST
    assert np.abs(found.astype(int) - RED).max() < 8


@pytest.mark.parametrize(
    ("encoding", "shape", "dtype"),
    [
        ("mono8", (480, 1280), np.uint8),
        ("mono16", (480, 1280), np.uint16),
        ("bgra8", (480, 1280, 4), np.uint8),
        ("bayer_rggb8", (480, 1280), np.uint8),
        ("yuyv", (480, 1280, 2), np.uint8),
    ],
)
def test_every_encoding_that_is_a_picture_becomes_one(encoding: str, shape: Any, dtype: Any) -> None:
    pixels = np.full(shape, 100 if dtype is np.uint8 else 25700, dtype)
    found = decoded(picture(Image(pixels, encoding)))
    assert found.shape == (240, 640, 3)


def test_a_small_jpeg_file_is_passed_on_as_it_came() -> None:
    image = file_of(320, 240)
    assert picture(image) == image.data.tobytes()


def test_a_file_that_browsers_would_turn_is_made_anew() -> None:
    image = file_of(320, 240)
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(turned) + 2).to_bytes(2, "big") + turned
    data = image.data.tobytes()
    with_exif = CompressedImage(np.frombuffer(data[:2] + segment + data[2:], np.uint8), "jpeg")
    found = picture(with_exif)
    assert b"Exif" not in found
    assert decoded(found).shape == (240, 320, 3)


def test_what_is_no_picture_says_why() -> None:
    depth = Image(np.zeros((4, 4), np.float32), "32FC1")
    broken = CompressedImage(np.zeros(9, np.uint8), "jpeg")
    for image in (depth, broken):
        with pytest.raises(BadImage):
            picture(image)
        with pytest.raises(BadImage):
            size(image)


def test_the_size_is_that_of_the_camera() -> None:
    assert size(red(1920, 1080)) == size(file_of(1920, 1080)) == (1920, 1080)


def test_a_picture_is_made_once_for_all_who_ask() -> None:
    frames: dict[int, Frame] = {}
    pictures = Pictures(frames.get)
    assert pictures.get(0) is None
    frames[0] = Frame(7, 0, "", red(64, 48), 0)
    first = pictures.get(0)
    assert first is not None
    assert first.sequence == 7
    assert pictures.get(0) is first
    frames[0] = Frame(8, 0, "", red(64, 48), 0)
    second = pictures.get(0)
    assert second is not None
    assert second.sequence == 8
    del frames[0]
    assert pictures.get(0) is None
    assert pictures.get(1) is None
