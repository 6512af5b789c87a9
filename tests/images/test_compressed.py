# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files: what is read, at which size, and what is refused before or while it is decoded."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.images.compressed import decode, read_head
from lowlat_nodes.images.encodings import to_rgb
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.stream.payload import CompressedImage, Image
from lowlat_nodes.vision.placement import Placement
from lowlat_nodes.vision.preprocess import Preprocessor

SUFFIXES = {"jpeg": ".jpg", "png": ".png"}
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
PNG_START = b"\x89PNG\r\n\x1a\n"


def picture(width: int, height: int) -> NDArray[np.uint8]:
    """Return something smooth, rgb, that JPEG keeps."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def write(
    pixels: NDArray[np.uint8], kind: str = "jpeg", image_format: str = "", options: list[int] | None = None
) -> CompressedImage:
    """Return the file of rgb or grey pixels."""
    bgr = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    _, data = cv2.imencode(SUFFIXES[kind], np.ascontiguousarray(bgr), options or [])
    return CompressedImage(data.ravel(), image_format or kind)


def of_bytes(data: bytes, image_format: str) -> CompressedImage:
    return CompressedImage(np.frombuffer(data, np.uint8), image_format)


def chunk(name: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", zlib.crc32(name + contents))


def png(width: int, height: int, bits: int = 8, colours: int = 2, rows: bytes = b"") -> CompressedImage:
    """Return a PNG file with whatever head."""
    head = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")
    return of_bytes(PNG_START + b"".join(parts), "png")


def jpeg(*segments: tuple[int, bytes], tail: bytes = b"\0\xff\xd9") -> CompressedImage:
    """Return a JPEG file of these segments."""
    body = b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(data)) + data for marker, data in segments)
    return of_bytes(b"\xff\xd8" + body + tail, "jpeg")


def frame(width: int, height: int, bits: int = 8, components: int = 3) -> bytes:
    return struct.pack(">BHHB", bits, height, width, components) + b"\1\x11\0" * components


SCAN = (0xDA, b"\3\1\0\2\x11\3\x11\0\x3f\0")


@pytest.mark.parametrize("options", [[], PROGRESSIVE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]])
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (57, 33)])
def test_jpeg_is_read(size: tuple[int, int], options: list[int]) -> None:
    pixels = picture(*size)
    file = write(pixels, "jpeg", options=options)
    head = read_head(file)
    assert (head.kind, head.width, head.height, head.encoding) == ("jpeg", *size, "bgr8")
    assert np.abs(to_rgb(file).astype(int) - pixels).mean() < 12


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (57, 33)])
def test_png_is_read_without_loss(size: tuple[int, int]) -> None:
    file = write(picture(*size), "png")
    head = read_head(file)
    assert (head.kind, head.width, head.height, head.encoding) == ("png", *size, "bgr8")
    assert np.array_equal(to_rgb(file), picture(*size))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_grey_files_stay_grey(kind: str) -> None:
    pixels = picture(40, 30)[..., 0]
    file = write(pixels, kind)
    image = decode(file, read_head(file))
    assert (image.encoding, image.data.shape) == ("mono8", (30, 40))
    assert np.abs(image.data.astype(int) - pixels).mean() < 3


def test_transparency_and_palettes_become_plain_colours() -> None:
    rows = b"".join(b"\0" + bytes([200, 30, 60, 128]) * 5 for _ in range(4))
    for file in (png(5, 4, colours=6, rows=rows), of_bytes(_palette(), "png")):
        assert (to_rgb(file) == (200, 30, 60)).all()


def _palette() -> bytes:
    head = struct.pack(">IIBBBBB", 8, 2, 1, 3, 0, 0, 0)
    parts = [
        (b"IHDR", head),
        (b"PLTE", bytes([200, 30, 60])),
        (b"IDAT", zlib.compress(b"\0\0" * 2)),
        (b"IEND", b""),
    ]
    return PNG_START + b"".join(chunk(name, contents) for name, contents in parts)


@pytest.mark.parametrize(
    ("image_format", "kind", "encoding"),
    [
        ("jpeg", "jpeg", "bgr8"),
        ("jpg", "jpeg", "bgr8"),
        ("JPEG", "jpeg", "bgr8"),
        ("rgb8; jpeg compressed bgr8", "jpeg", "bgr8"),
        ("bgr8; png compressed bgr8", "png", "bgr8"),
        ("bgr8; png compressed ", "png", "bgr8"),
        ("rgb8; jpeg compressed rgb8", "jpeg", "rgb8"),
    ],
)
def test_the_formats_of_image_transport(image_format: str, kind: str, encoding: str) -> None:
    file = write(picture(20, 10), kind, image_format)
    head = read_head(file)
    assert (head.kind, head.encoding) == (kind, encoding)


@pytest.mark.parametrize(
    ("image_format", "reason"),
    [
        ("", "expected the format jpeg or png, got ''"),
        ("h264", "expected the format jpeg or png, got 'h264'"),
        ("rgb8; tiff compressed ", "expected the format jpeg or png"),
        ("png; h264", "expected the format jpeg or png"),
        ("16UC1; compressedDepth png", "expected colours or grey, got distances"),
        ("32FC1; compressedDepth", "expected colours or grey, got distances"),
        ("png", "expected png, as its format 'png' says, got jpeg"),
    ],
)
def test_another_format_is_refused(image_format: str, reason: str) -> None:
    file = write(picture(20, 10))
    with pytest.raises(BadImage, match=reason):
        read_head(CompressedImage(file.data, image_format))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"GIF89a", PNG_START])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    for image_format in ("jpeg", "png"):
        with pytest.raises(
            BadImage, match=f"expected {image_format}, as its format .* bytes that begin with"
        ):
            read_head(of_bytes(data, image_format))


@pytest.mark.parametrize("options", [[], PROGRESSIVE])
def test_a_jpeg_file_that_is_cut_short_is_refused_wherever(options: list[int]) -> None:
    data = write(picture(64, 48), options=options).data.tobytes()
    for size in range(3, len(data) - 1):
        with pytest.raises(BadImage, match=r"jpeg: (cut short|expected one whole frame)"):
            read_head(of_bytes(data[:size], "jpeg"))


def test_a_png_file_that_is_cut_short_is_refused_wherever() -> None:
    data = write(picture(16, 12), "png").data.tobytes()
    for size in range(16, len(data) - 4):
        with pytest.raises(BadImage, match="png: cut short"):
            read_head(of_bytes(data[:size], "png"))


def test_padding_between_the_segments_of_a_jpeg_file_is_skipped() -> None:
    data = write(picture(20, 10)).data.tobytes()
    padded = of_bytes(data[:2] + b"\xff" * 9 + data[2:], "jpeg")
    assert np.array_equal(to_rgb(padded), to_rgb(of_bytes(data, "jpeg")))


def test_bytes_behind_the_end_are_ignored() -> None:
    for kind in ("jpeg", "png"):
        file = write(picture(20, 10), kind)
        padded = CompressedImage(np.concatenate([file.data, np.zeros(99, np.uint8)]), kind)
        assert np.array_equal(decode(padded, read_head(padded)).data, decode(file, read_head(file)).data)


def test_a_png_bomb_is_refused_by_its_head() -> None:
    bomb = png(30_000, 30_000, rows=bytes(1_000_000))
    assert bomb.data.size < 2000
    with pytest.raises(BadImage, match="expected at most 50000000 px, got 30000x30000"):
        read_head(bomb)
    with pytest.raises(BadImage, match="got 4294967295x4294967295"):
        read_head(png((1 << 32) - 1, (1 << 32) - 1))


def test_a_png_file_with_fewer_rows_than_it_says_is_refused() -> None:
    bomb = png(2000, 2000, rows=bytes(9))
    with pytest.raises(BadImage, match=r"png: .* bytes cannot be decoded"):
        decode(bomb, read_head(bomb))


@pytest.mark.parametrize("length", [1 << 16, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_chunk_longer_than_its_file_is_refused_before_room_is_made_for_it(length: int) -> None:
    data = bytearray(png(8, 8, rows=bytes(8 * 25)).data.tobytes())
    at = data.index(b"IDAT") - 4
    data[at : at + 4] = struct.pack(">I", length)
    with pytest.raises(BadImage, match="png: cut short"):
        read_head(of_bytes(bytes(data), "png"))


def beside_the_pixels(more: bytes) -> CompressedImage:
    data = write(picture(20, 10), "png").data.tobytes()
    at = data.index(b"IDAT") - 4
    return of_bytes(data[:at] + more + data[at:], "png")


def test_texts_that_unpack_to_a_thousand_times_their_size_are_refused() -> None:
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(1_000_000), 9))
    few, many = beside_the_pixels(text), beside_the_pixels(text * 20)
    assert np.array_equal(to_rgb(few), picture(20, 10))
    with pytest.raises(BadImage, match="expected at most 16384 bytes beside the pixels, got"):
        read_head(many)


def test_more_chunks_than_a_camera_writes_are_refused() -> None:
    with pytest.raises(BadImage, match="expected at most 32768 chunks"):
        read_head(beside_the_pixels(chunk(b"tEXt", b"") * 40_000))


def test_max_pixels_holds_for_both_kinds() -> None:
    for kind in ("jpeg", "png"):
        file = write(picture(20, 10), kind)
        assert read_head(file, max_pixels=200).width == 20
        with pytest.raises(BadImage, match="expected at most 199 px, got 20x10"):
            read_head(file, max_pixels=199)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (png(8, 8, bits=16), "expected 8 bits per value, got 16"),
        (png(8, 8, bits=3), "got 3 bits of kind 2"),
        (png(8, 8, colours=5), "got 8 bits of kind 5"),
        (png(0, 8), "expected at least one pixel, got 0x8"),
        (jpeg((0xC0, frame(0, 8)), SCAN), "expected at least one pixel, got 0x8"),
        (jpeg((0xC0, frame(8, 0)), SCAN), "expected at least one pixel, got 8x0"),
        (jpeg((0xC1, frame(8, 8, bits=12)), SCAN), "expected 8 bits per value, got 12"),
        (jpeg((0xC3, frame(8, 8)), SCAN), "expected baseline or progressive coding, got SOF3"),
        (jpeg((0xC9, frame(8, 8)), SCAN), "expected baseline or progressive coding, got SOF9"),
        (jpeg((0xC0, frame(8, 8)), (0xC0, frame(9000, 9000)), SCAN), "expected one whole frame header"),
        (jpeg(SCAN), "expected a frame header before the first scan, got none"),
        (jpeg((0xC0, frame(8, 8)), SCAN, tail=b"\0"), "cut short, expected an end of image"),
        (jpeg((0xC0, frame(8, 8)), tail=b"\xff\xd9"), "cut short, expected a scan"),
        (jpeg((0xC0, frame(8, 8)), tail=b"\xff\xd9\0\0"), "expected a segment at byte 21, got ffd90000"),
        (jpeg((0xE0, b""), tail=b"\xff\xe0\0\1" * 2), "expected a segment at byte 6, got ffe00001"),
        (jpeg((0xC0, frame(8, 8)), *[(0xE0, b"")] * 2000, SCAN), "expected at most 1000 segments"),
        (jpeg((0xC2, frame(8, 8)), *[SCAN] * 40), "expected at most 32 scans"),
        (jpeg((0xC0, frame(8, 8)), *[(0xDA, b"\1" + SCAN[1][1:])] * 40), "expected at most 32 scans"),
        (jpeg(tail=b"\xff" * 5000), "expected at most 1000 segments"),
    ],
)
def test_a_head_that_cannot_be_is_refused(file: CompressedImage, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        read_head(file)


def test_a_thumbnail_is_not_taken_for_the_image() -> None:
    data, thumbnail = (write(picture(*size)).data.tobytes() for size in ((64, 48), (16, 12)))
    exif = b"Exif\0\0" + thumbnail
    file = data[:2] + struct.pack(">BBH", 0xFF, 0xE1, 2 + len(exif)) + exif + data[2:]
    head = read_head(of_bytes(file, "jpeg"))
    assert (head.width, head.height) == (64, 48)
    for size in (len(file) // 2, len(file) - 2):
        with pytest.raises(BadImage, match="cut short"):
            read_head(of_bytes(file[:size], "jpeg"))


def test_a_rotation_by_exif_is_ignored() -> None:
    pixels = picture(64, 48)
    data = write(pixels).data.tobytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)  # orientation: turned by 90 degrees
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    turned = of_bytes(data[:2] + struct.pack(">BBH", 0xFF, 0xE1, 2 + len(exif)) + exif + data[2:], "jpeg")
    assert cv2.imdecode(turned.data, cv2.IMREAD_COLOR).shape == (64, 48, 3)  # the tag is one that counts
    for reduction in (1, 2):
        found = decode(turned, read_head(turned), reduction)
        assert np.array_equal(found.data, decode(of_bytes(data, "jpeg"), read_head(turned), reduction).data)


@pytest.mark.parametrize(
    ("size", "target", "resize", "reduction"),
    [
        ((1280, 720), 640, "letterbox", 2),
        ((1280, 720), 320, "letterbox", 4),
        ((1280, 720), 160, "letterbox", 8),
        ((1280, 720), 641, "letterbox", 1),
        ((1920, 1080), 640, "letterbox", 2),
        ((1280, 720), 640, "stretch", 1),  # as high as 640
        ((1280, 720), 320, "stretch", 2),
        ((640, 480), 640, "letterbox", 1),
        ((8000, 8), 32, "letterbox", 8),
    ],
)
def test_as_little_is_decoded_as_the_network_needs(
    size: tuple[int, int], target: int, resize: str, reduction: int
) -> None:
    pixels = np.zeros((size[1], size[0]), np.uint8)
    placement = getattr(Placement, resize)(*size, target, target)
    wanted = placement.scaled_width, placement.scaled_height
    assert read_head(write(pixels, "jpeg")).reduction(*wanted) == reduction
    assert read_head(write(pixels, "png")).reduction(*wanted) == 1


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(64, 48), (63, 45), (57, 33), (3, 5), (1, 1)])
def test_a_smaller_image_is_rounded_to_whole_pixels(size: tuple[int, int], reduction: int) -> None:
    file = write(picture(*size))
    image = decode(file, read_head(file), reduction)
    assert (image.width, image.height) == tuple(max(1, round(side / reduction)) for side in size)


def edges(profile: NDArray[np.float64]) -> tuple[float, float]:
    """Return where a bright stretch begins and ends: where its slopes cross half its height."""
    bright = np.nonzero(profile > 0.5)[0]
    first, last = int(bright[0]), int(bright[-1])
    begin = first + 0.5 - (profile[first] - 0.5) / (profile[first] - profile[first - 1])
    end = last + 0.5 + (profile[last] - 0.5) / (profile[last] - profile[last + 1])
    return begin, end


def box_of(tensor: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Return the bright box of a network's input, in px of the source."""
    bright = tensor[0, 1].astype(np.float64)
    left, right = edges(bright.max(0))
    top, bottom = edges(bright.max(1))
    box = np.array([[left, top, right, bottom]], np.float32)
    placement.to_source(box)
    return box[0]


@pytest.mark.parametrize("target", [640, 320, 160])
@pytest.mark.parametrize("size", [(1280, 720), (1283, 727), (1297, 721), (1999, 1111)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_a_box_lies_where_it_lies_however_little_is_decoded(
    size: tuple[int, int], target: int, resize: str
) -> None:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    truth = np.array([size[0] - 264, size[1] - 168, size[0] - 40, size[1] - 56])
    pixels[truth[1] : truth[3], truth[0] : truth[2]] = 255
    file = write(pixels, options=[cv2.IMWRITE_JPEG_QUALITY, 95])
    preprocessor = Preprocessor(ImageInput("images", target, target), resize, 0, folded=False)
    smaller = box_of(*preprocessor.prepare(file))
    full = box_of(*preprocessor.prepare(Image(pixels, "rgb8")))
    network_pixel = max(size) / target
    assert np.abs(smaller - truth).max() <= max(1.0, 0.5 * network_pixel)
    assert np.abs(smaller - full).max() <= max(1.0, network_pixel)
    if not any(side % 8 for side in size):
        assert np.abs(smaller - truth).max() <= 0.5


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Return a file cut short, with changed bits, or with bytes out of place."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 6))):
        changed[int(random.integers(len(changed)))] ^= 1 << int(random.integers(8))
    if random.random() < 0.3:
        del changed[int(random.integers(len(changed))) :]
    if random.random() < 0.2:
        at = int(random.integers(len(changed) + 1))
        changed[at:at] = random.bytes(int(random.integers(1, 20)))
    return bytes(changed)


def in_the_head(data: bytes, random: np.random.Generator) -> bytes:
    """Return a file with changed bytes at its beginning."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        changed[int(random.integers(min(300, len(changed))))] = int(random.integers(256))
    return bytes(changed)


@pytest.mark.parametrize("damage", [damaged, in_the_head])
@pytest.mark.parametrize(("kind", "options"), [("jpeg", []), ("jpeg", PROGRESSIVE), ("png", [])])
@pytest.mark.parametrize("grey", [False, True])
def test_damaged_files_are_refused_or_read_and_nothing_else(
    kind: str, options: list[int], grey: bool, damage: Callable[[bytes, np.random.Generator], bytes]
) -> None:
    pixels = picture(96, 64)
    data = write(pixels[..., 0] if grey else pixels, kind, options=options).data.tobytes()
    random = np.random.default_rng(1)
    preprocessor = Preprocessor(
        ImageInput("images", 32, 32), "letterbox", 114, folded=True, max_pixels=96 * 64 * 4
    )
    refused = 0
    for _ in range(100):
        refused += 1
        with contextlib.suppress(BadImage):
            tensor, _ = preprocessor.prepare(of_bytes(damage(data, random), kind))
            assert tensor.shape == (1, 32, 32, 3)
            refused -= 1
    assert refused > 0
