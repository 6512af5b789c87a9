# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The input of a network against one made step by step, with fresh arrays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lowlat_nodes.images.encodings import ENCODINGS, to_rgb
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import CompressedImage, Image
from lowlat_nodes.transport import cdr
from lowlat_nodes.vision.placement import Placement
from lowlat_nodes.vision.preprocess import Preprocessor

INPUT = ImageInput("images", 64, 96)
IMAGENET = ImageInput("images", 64, 64, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "bgr")
FILL = 114


def random_image(encoding: str, width: int, height: int, seed: int = 0, padding: int = 0) -> Image:
    """Return an image as a transport gives it: read-only, its rows padded."""
    what = ENCODINGS[encoding]
    shape = (height, width + padding, what.channels)[: 2 + (what.channels > 1)]
    limit = 256 if what.scalar == "u1" else 65536
    data = np.random.default_rng(seed).integers(0, limit, shape).astype(what.scalar)[:, :width]
    data.flags.writeable = False
    return Image(data, encoding)


def letterboxed(rgb: NDArray[np.uint8], image: ImageInput) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    ratio = min(image.height / height, image.width / width)
    inner = max(1, round(width * ratio)), max(1, round(height * ratio))
    x, y = (image.width - inner[0]) / 2, (image.height - inner[1]) / 2
    borders = round(y - 0.1), round(y + 0.1), round(x - 0.1), round(x + 0.1)
    small = cv2.resize(rgb, inner, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyMakeBorder(small, *borders, cv2.BORDER_CONSTANT, value=(FILL,) * 3), np.uint8)


def stretched(rgb: NDArray[np.uint8], image: ImageInput) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(rgb, (image.width, image.height)), np.uint8)


def expected(payload: Image, image: ImageInput, resize: str, *, folded: bool) -> NDArray[Any]:
    pixels = {"letterbox": letterboxed, "stretch": stretched}[resize](to_rgb(payload), image)
    if image.channels == "bgr":
        pixels = pixels[..., ::-1]
    if folded:
        return pixels[None]
    values = (pixels.astype(np.float64) - image.mean) / image.std
    return values.transpose(2, 0, 1)[None].astype(np.float32)


def assert_as_expected(
    made: NDArray[Any], payload: Image, image: ImageInput, resize: str, *, folded: bool, near: int = 0
) -> None:
    """Compare with the reference, where rounding on the way may differ by `near` values of a pixel."""
    wanted = expected(payload, image, resize, folded=folded)
    assert (made.shape, made.dtype) == (wanted.shape, wanted.dtype)
    unit = 1.0 if folded else 1.0 / min(image.std)
    assert np.abs(made.astype(np.float64) - wanted).max() <= near * unit + 1e-6


def test_half_is_the_same_rounded() -> None:
    preprocessor = Preprocessor(IMAGENET, "letterbox", FILL, folded=False, half=True)
    for width, height in ((50, 40), (30, 90)):
        payload = random_image("rgb8", width, height)
        made, _ = preprocessor.prepare(payload)
        wanted = expected(payload, IMAGENET, "letterbox", folded=False)
        assert made.dtype == np.float16
        assert np.array_equal(made, wanted.astype(np.float16))


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("image", [INPUT, IMAGENET])
@settings(deadline=None, max_examples=50)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    padding=st.sampled_from([0, 5]),
    encoding=st.sampled_from(["rgb8", "bgr8", "mono8"]),
)
def test_equals_the_steps_one_by_one(
    image: ImageInput, resize: str, folded: bool, width: int, height: int, padding: int, encoding: str
) -> None:
    payload = random_image(encoding, width, height, padding=padding)
    made, placement = Preprocessor(image, resize, FILL, folded=folded).prepare(payload)
    assert_as_expected(made, payload, image, resize, folded=folded)
    assert placement == getattr(Placement, resize)(width, height, image.width, image.height)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("image", [INPUT, IMAGENET])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("size", [(200, 100), (96, 64), (50, 75), (4, 300)])
def test_every_encoding_becomes_its_colours(
    encoding: str, image: ImageInput, folded: bool, size: tuple[int, int]
) -> None:
    payload = random_image(encoding, *size, padding=2)
    made, _ = Preprocessor(image, "letterbox", FILL, folded=folded).prepare(payload)
    # 16 bits are resized before they are scaled, which rounds otherwise.
    assert_as_expected(made, payload, image, "letterbox", folded=folded, near=encoding == "mono16")


@pytest.mark.parametrize("folded", [False, True])
def test_images_of_alternating_sizes_do_not_leave_anything_of_each_other(folded: bool) -> None:
    preprocessor = Preprocessor(INPUT, "letterbox", FILL, folded=folded)
    sizes = [(200, 100), (30, 90), (96, 64), (200, 100), (7, 5), (1, 50), (50, 1), (200, 100), (30, 90)]
    for seed, (width, height) in enumerate(sizes * 2):
        encoding = ["rgb8", "bgra8", "mono8"][seed % 3]
        payload = random_image(encoding, width, height, seed)
        made, placement = preprocessor.prepare(payload)
        assert (placement.width, placement.height) == (width, height)
        assert_as_expected(made, payload, INPUT, "letterbox", folded=folded)


def test_the_same_memory_is_used_for_images_of_the_same_size() -> None:
    preprocessor = Preprocessor(INPUT, "letterbox", FILL, folded=False)
    first, _ = preprocessor.prepare(random_image("rgb8", 64, 48))
    second, _ = preprocessor.prepare(random_image("rgb8", 64, 48))
    assert first is second
    assert first.flags.c_contiguous


def test_memory_for_no_more_than_a_few_sizes_is_kept() -> None:
    preprocessor = Preprocessor(INPUT, "letterbox", FILL, folded=True)
    first, _ = preprocessor.prepare(random_image("rgb8", 100, 50))
    for width in range(1, 20):
        preprocessor.prepare(random_image("rgb8", width, 50))
    again, _ = preprocessor.prepare(random_image("rgb8", 100, 50))
    assert first is not again


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[::2, ::3], np.s_[..., ::-1]])
def test_views_of_any_kind_are_read_as_what_they_show(view: Any) -> None:
    data = np.random.default_rng(0).integers(0, 256, (80, 90, 3)).astype(np.uint8)[view]
    made, _ = Preprocessor(INPUT, "stretch", FILL, folded=True).prepare(Image(data, "rgb8"))
    assert_as_expected(made, Image(np.ascontiguousarray(data), "rgb8"), INPUT, "stretch", folded=True)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_the_source_stays_as_it_is(encoding: str) -> None:
    payload = random_image(encoding, 96, 64)
    payload.data = payload.data.copy()
    before = payload.data.copy()
    for folded in (False, True):
        tensor, _ = Preprocessor(INPUT, "letterbox", FILL, folded=folded).prepare(payload)
        tensor[:] = 0
        assert np.array_equal(payload.data, before)


@pytest.mark.parametrize("big_endian", [False, True])
def test_16_bits_off_the_wire_are_read_in_their_byte_order(big_endian: bool) -> None:
    values = np.linspace(0, 65535, 96 * 64).reshape(64, 96).astype(np.uint16)
    message = bytearray(cdr.encode("sensor_msgs/msg/Image", 0, "x", Image(values, "mono16")))
    if big_endian:
        flag = bytes(message).index(b"mono16\0") + 7
        message[flag] = 1
        message[-values.nbytes :] = values.astype(">u2").tobytes()
    payload = cdr.decode("sensor_msgs/msg/Image", bytes(message)).payload
    made, _ = Preprocessor(INPUT, "letterbox", FILL, folded=True).prepare(payload)
    assert np.abs(made[0, ..., 0].astype(int) - values / 257).max() <= 1


def test_an_image_from_a_message_with_padded_rows() -> None:
    payload = random_image("rgb8", 33, 20)
    message = bytearray(cdr.encode("sensor_msgs/msg/Image", 7, "camera", Image(payload.data, "rgb8")))
    head = len(message) - 20 * 99
    assert int.from_bytes(message[head - 8 : head - 4], "little") == 99
    message[head - 8 : head] = (104).to_bytes(4, "little") + (20 * 104).to_bytes(4, "little")
    rows = b"".join(row.tobytes() + b"\xff" * 5 for row in payload.data)
    decoded = cdr.decode("sensor_msgs/msg/Image", bytes(message[:head]) + rows).payload
    made, _ = Preprocessor(INPUT, "letterbox", FILL, folded=False).prepare(decoded)
    assert_as_expected(made, payload, INPUT, "letterbox", folded=False)


def test_a_large_image_is_refused_before_it_is_touched() -> None:
    vast = Image(np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (16384, 16384, 3)), "rgb8")
    preprocessor = Preprocessor(INPUT, "letterbox", FILL, folded=False)
    with pytest.raises(BadImage, match="expected at most 50000000 px, got 16384x16384"):
        preprocessor.prepare(vast)
    with pytest.raises(BadImage, match="expected at most 99 px"):
        Preprocessor(INPUT, "stretch", FILL, folded=True, max_pixels=99).prepare(
            random_image("mono8", 10, 10)
        )


def test_a_bad_image_leaves_the_next_one_as_it_should_be() -> None:
    preprocessor = Preprocessor(INPUT, "letterbox", FILL, folded=False)
    payload = random_image("bgr8", 100, 80)
    bad = [Image(payload.data, "32FC3"), Image(payload.data[:0], "bgr8")]
    bad += [CompressedImage(np.frombuffer(b"nothing", np.uint8), "jpeg")]
    for image in bad:
        with pytest.raises(BadImage):
            preprocessor.prepare(image)
        made, _ = preprocessor.prepare(payload)
        assert_as_expected(made, payload, INPUT, "letterbox", folded=False)


@pytest.mark.parametrize("size", [(1, 200_000), (200_000, 1)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_an_image_of_one_long_row_or_column(size: tuple[int, int], resize: str) -> None:
    payload = Image(np.full((*size, 3), 9, np.uint8), "rgb8")
    made, placement = Preprocessor(INPUT, resize, FILL, folded=True).prepare(payload)
    rows = slice(placement.top, placement.top + placement.scaled_height)
    columns = slice(placement.left, placement.left + placement.scaled_width)
    assert (made[0, rows, columns] == 9).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resize": "crop"}, "expected one of letterbox, stretch; got 'crop'"),
        ({"fill": 256}, "expected 0 to 255, got 256"),
        ({"image": ImageInput("x", 8, 8, channels="yuv")}, "expected rgb or bgr, got 'yuv'"),
        ({"image": ImageInput("x", 8, 8, std=(1.0, 0.0, 1.0))}, "expected no zero"),
        (
            {"image": ImageInput("x", 8, 8, std=(1.0, 1e-3, 1.0)), "half": True},
            "image: target: .* numbers which float16 can hold",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_once(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Preprocessor(**({"image": INPUT, "resize": "letterbox", "fill": FILL, "folded": False} | changes))
