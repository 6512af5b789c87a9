# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What colours the pixels of each encoding become, and which images are refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.images.encodings import ENCODINGS, encoding_of, to_rgb
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.transport.cdr.messages import PIXELS

RED, GREEN, BLUE = (200, 30, 60), (20, 180, 40), (10, 50, 220)
MOSAICS = ("rggb", "bggr", "gbrg", "grbg")
YUV = {"yuv422": "uyvy", "uyvy": "uyvy", "yuv422_yuy2": "yuyv", "yuyv": "yuyv"}


def plain(colour: tuple[int, int, int], height: int = 6, width: int = 8) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def mosaic(rgb: NDArray[np.uint8], order: str) -> NDArray[np.uint8]:
    """Return what a sensor sees behind colour filters whose first two rows are `order`."""
    seen = np.empty(rgb.shape[:2], np.uint8)
    for index, colour in enumerate(order):
        row, column = divmod(index, 2)
        seen[row::2, column::2] = rgb[row::2, column::2, "rgb".index(colour)]
    return seen


def halved_chroma(colour: tuple[int, int, int], order: str, height: int, width: int) -> NDArray[np.uint8]:
    """Return a plain colour as YUV 4:2:2 of ITU-R BT.601, two bytes for a pixel."""
    red, green, blue = (value / 255 for value in colour)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    y = round(16 + 219 * luma)
    u, v = (round(128 + 224 * 0.5 * (a - luma) / (1 - b)) for a, b in ((blue, 0.114), (red, 0.299)))
    pair = {"u": u, "v": v, "y": y}
    return np.tile(np.array([pair[letter] for letter in order], np.uint8), (height, width // 2)).reshape(
        height, width, 2
    )


def test_the_channels_are_found_whatever_their_order() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    alpha = np.full((5, 7, 1), 9, np.uint8)
    for encoding, data in {
        "rgb8": rgb,
        "bgr8": rgb[..., ::-1],
        "rgba8": np.concatenate([rgb, alpha], 2),
        "bgra8": np.concatenate([rgb[..., ::-1], alpha], 2),
    }.items():
        assert np.array_equal(to_rgb(Image(data, encoding)), rgb)


def test_a_copy_is_made() -> None:
    data = plain(RED)
    copy = to_rgb(Image(data, "rgb8"))
    assert not np.shares_memory(copy, data)
    assert copy.flags.writeable


def test_grey_is_the_same_in_all_channels_and_16_bits_are_scaled() -> None:
    assert to_rgb(Image(np.full((2, 3), 7, np.uint8), "mono8")).tolist() == [[[7] * 3] * 3] * 2
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    for data in (values, values.astype(">u2")):  # either byte order
        assert to_rgb(Image(data, "mono16"))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("order", MOSAICS)
@pytest.mark.parametrize("colour", [RED, GREEN, BLUE])
def test_a_mosaic_becomes_the_colour_that_was_seen(order: str, colour: tuple[int, int, int]) -> None:
    seen = mosaic(plain(colour), order)
    assert (to_rgb(Image(seen, f"bayer_{order}8")) == colour).all()


@pytest.mark.parametrize("order", MOSAICS)
def test_what_a_mosaic_shows_stays_where_it_is(order: str) -> None:
    rgb = plain((0, 0, 0), 20, 24)
    rgb[8:14, 10:18] = RED
    found = to_rgb(Image(mosaic(rgb, order), f"bayer_{order}8"))[..., 0] > 100
    rows, columns = np.nonzero(found)
    assert abs(rows.min() - 8) <= 1
    assert abs(rows.max() - 13) <= 1
    assert abs(columns.min() - 10) <= 1
    assert abs(columns.max() - 17) <= 1


@pytest.mark.parametrize(("encoding", "order"), YUV.items())
@pytest.mark.parametrize("colour", [RED, GREEN, BLUE])
def test_halved_chroma_becomes_the_colour(encoding: str, order: str, colour: tuple[int, int, int]) -> None:
    data = halved_chroma(colour, order, 3, 4)
    assert np.abs(to_rgb(Image(data, encoding)).astype(int) - colour).max() <= 3


def test_each_is_what_a_message_of_it_is_decoded_to() -> None:
    for name, encoding in ENCODINGS.items():
        assert (PIXELS[name].scalar, PIXELS[name].channels) == (encoding.scalar, encoding.channels)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "rgb16", "", "RGB8"])
def test_an_encoding_without_colours_is_refused_and_the_others_are_told(encoding: str) -> None:
    with pytest.raises(
        BadImage, match=f"expected one of rgb8, bgr8, .*mono16.*bayer_rggb8.*yuyv; got '{encoding}'"
    ):
        encoding_of(Image(plain(RED), encoding))


@pytest.mark.parametrize(
    ("data", "encoding", "reason"),
    [
        (np.zeros((4, 5), np.uint8), "rgb8", r"\[height, width, 3\] for rgb8, got \(4, 5\)"),
        (np.zeros((4, 5, 4), np.uint8), "rgb8", r"got \(4, 5, 4\)"),
        (np.zeros((4, 5, 3), np.uint8), "mono8", r"\[height, width, 1\] for mono8"),
        (np.zeros(4, np.uint8), "mono8", r"got \(4,\)"),
        (np.zeros((0, 5, 3), np.uint8), "rgb8", "at least one pixel"),
        (np.zeros((4, 0), np.uint8), "mono8", "at least one pixel"),
        (np.zeros((4, 5, 3), np.float32), "rgb8", "expected dtype u1 for rgb8, got float32"),
        (np.zeros((4, 5), np.uint8), "mono16", "expected dtype u2 for mono16, got uint8"),
        (np.zeros((2, 9), np.uint8), "bayer_rggb8", "at least 3x3 px for bayer_rggb8, got 9x2"),
        (np.zeros((9, 3, 2), np.uint8), "uyvy", "an even width for uyvy, got 3 px"),
    ],
)
def test_an_image_that_contradicts_its_encoding_is_refused(
    data: NDArray[np.uint8], encoding: str, reason: str
) -> None:
    for read in (encoding_of, to_rgb):
        with pytest.raises(BadImage, match=reason):
            read(Image(data, encoding))


def test_an_image_of_too_many_pixels_is_refused() -> None:
    vast = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (16384, 16384, 3))
    with pytest.raises(BadImage, match=r"at most 50000000 px, got 16384x16384; .* higher max_pixels"):
        encoding_of(Image(vast, "rgb8"))
    assert encoding_of(Image(vast, "rgb8"), max_pixels=16384 * 16384) is ENCODINGS["rgb8"]
    with pytest.raises(BadImage, match="at most 19 px, got 5x4"):
        encoding_of(Image(np.zeros((4, 5), np.uint8), "mono8"), max_pixels=19)
