# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images become JPEG files that our own reader, and any other, makes the same picture of."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.images.compressed import decode, read_head
from lowlat_nodes.images.encodings import to_rgb
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.images.jpeg import to_jpeg
from lowlat_nodes.stream.payload import Image


def smooth(channels: int, dtype: str = "u1") -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64]
    scale = 1 if dtype == "u1" else 257
    planes = [(2 * rows + columns + 20 * channel) * scale for channel in range(channels)]
    return np.stack(planes, 2).astype(dtype)[:, :, 0 if channels == 1 else slice(None)]


@pytest.mark.parametrize(
    ("encoding", "channels", "dtype"),
    [("rgb8", 3, "u1"), ("bgr8", 3, "u1"), ("rgba8", 4, "u1"), ("mono8", 1, "u1"), ("mono16", 1, "u2")],
)
def test_the_file_shows_what_the_image_did(encoding: str, channels: int, dtype: str) -> None:
    image = Image(smooth(channels, dtype), encoding)
    file = to_jpeg(image, 95)
    head = read_head(file)
    grey = channels == 1
    assert (head.width, head.height, head.encoding) == (64, 48, "mono8" if grey else "bgr8")
    assert file.format == f"{encoding}; jpeg compressed {head.encoding}"
    difference = to_rgb(decode(file, head)).astype(int) - to_rgb(image)
    assert np.abs(difference).max() < 8


def test_a_lower_quality_makes_a_smaller_file() -> None:
    noise = Image(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8), "rgb8")
    assert to_jpeg(noise, 10).data.size < to_jpeg(noise, 90).data.size


def test_a_part_of_an_image_can_be_written() -> None:
    whole = smooth(3)
    assert (
        to_jpeg(Image(whole[8:40, 8:40], "rgb8"), 90).data.tobytes()
        == to_jpeg(Image(whole[8:40, 8:40].copy(), "rgb8"), 90).data.tobytes()
    )


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(BadImage, match="32FC1"):
        to_jpeg(Image(np.ones((4, 4), np.float32), "32FC1"), 90)
    with pytest.raises(BadImage, match="65500 px a side, got 65501x1"):
        to_jpeg(Image(np.zeros((1, 65501), np.uint8), "mono8"), 90)
