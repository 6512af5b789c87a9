# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a camera's message to the input of a network, without fresh memory on the way."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import CompressedImage, Image
from lowlat_nodes.vision import compressed
from lowlat_nodes.vision.encodings import ENCODINGS, Encoding, encoding_of, native, to_8_bits
from lowlat_nodes.vision.limits import MAX_PIXELS
from lowlat_nodes.vision.placement import RESIZES, Placement

_CANVASES = 4  # sizes of cameras that may alternate before canvases are made anew


class Preprocessor:
    """Places images of any size and encoding into the input of a network.

    Images are resized bilinearly, as in the training of these networks, and before anything else where the
    encoding allows; Bayer mosaics and YUV 4:2:2 become colours at full size first. A JPEG file at least twice
    as large as its place is decoded at a half, a quarter or an eighth.

    Fresh memory is what costs most here, and ten times as much on a busy machine: whatever is needed is kept
    from image to image. Not for several threads at once. OpenCV's own threads gain nothing on images of this
    size and wait for each other on a busy machine: give a process that only does this
    `cv2.setNumThreads(1)`.

    Args:
        image: What the network wants.
        resize: letterbox keeps the aspect ratio, stretch does not.
        fill: Value of a pixel beside a letterboxed image, 0 to 255.
        folded: Whether the network takes bytes, and does the rest of `image` itself.
        half: Whether it takes float16 where it takes no bytes.
        max_pixels: Images of more are refused before they are touched.

    Raises:
        ConfigurationError: If one of these cannot be.
    """

    def __init__(
        self,
        image: ImageInput,
        resize: str,
        fill: int,
        *,
        folded: bool,
        half: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if resize not in RESIZES:
            raise ConfigurationError(f"resize: expected one of {', '.join(RESIZES)}; got {resize!r}")
        if not 0 <= fill <= 255:
            raise ConfigurationError(f"fill: expected 0 to 255, got {fill}")
        if image.channels not in ("rgb", "bgr"):
            raise ConfigurationError(f"image.channels: expected rgb or bgr, got {image.channels!r}")
        if not all(image.std):
            raise ConfigurationError(f"image.std: expected no zero, got {image.std}")
        self._image = image
        self._place = RESIZES[resize]
        self._fill = fill
        self._folded = folded
        self._half = np.empty(image.shape, np.float16) if half and not folded else None
        self._max_pixels = max_pixels
        normalised = (np.arange(256)[:, None] - np.array(image.mean)) / np.array(image.std)
        self._values = list(np.ascontiguousarray(normalised.T, np.float32))
        self._canvases: dict[tuple[int, int], _Canvas] = {}
        self._colours, self._small, self._bytes, self._planes = (_Scratch() for _ in range(4))

    def prepare(self, payload: Image | CompressedImage) -> tuple[NDArray[Any], Placement]:
        """Return the network's input for an image, and where in it the image lies.

        The array is valid until the next call: float32 or float16 [1, 3, height, width], or, where folded,
        uint8 [1, height, width, 3], in the network's order of channels. The payload is only read.

        Raises:
            BadImage: If the image contradicts itself, is too large, or in no encoding that can be read.
        """
        if isinstance(payload, CompressedImage):
            head = compressed.read_head(payload, self._max_pixels)
            canvas = self._canvas(head.width, head.height)
            payload = compressed.decode(payload, head, head.reduction(canvas.placement))
            encoding = ENCODINGS[payload.encoding]
        else:
            encoding = encoding_of(payload, self._max_pixels)
            canvas = self._canvas(payload.width, payload.height)
        self._paint(native(payload.data), encoding, canvas)
        if self._half is None:
            return canvas.tensor, canvas.placement
        np.copyto(self._half, canvas.tensor, casting="same_kind")
        return self._half, canvas.placement

    def _canvas(self, width: int, height: int) -> _Canvas:
        """Return the canvas for images of a size, the least recently made one giving way to a new one."""
        canvas = self._canvases.get((width, height))
        if canvas is None:
            if len(self._canvases) == _CANVASES:
                del self._canvases[next(iter(self._canvases))]
            placement = self._place(width, height, self._image.width, self._image.height)
            fill = [self._fill] * 3 if self._folded else [values[self._fill] for values in self._values]
            canvas = _Canvas(self._image, placement, fill, folded=self._folded)
            self._canvases[width, height] = canvas
        return canvas

    def _paint(self, pixels: NDArray[Any], encoding: Encoding, canvas: _Canvas) -> None:
        colours = self._image.channels
        if encoding.mixed:
            whole = self._colours.array((*pixels.shape[:2], 3))
            pixels = cv2.cvtColor(pixels, encoding.codes[colours], dst=whole)
            encoding = ENCODINGS[f"{colours}8"]
        size = canvas.placement.scaled_width, canvas.placement.scaled_height
        same = colours not in encoding.codes
        if self._folded and same:
            cv2.resize(pixels, size, dst=canvas.region)
            return
        if (pixels.shape[1], pixels.shape[0]) != size:
            small = self._small.array((size[1], size[0], *pixels.shape[2:]), pixels.dtype)
            pixels = cv2.resize(pixels, size, dst=small)
        if encoding.scalar == "u2":
            pixels = to_8_bits(pixels, self._bytes.array(pixels.shape))
        if self._folded:
            cv2.cvtColor(pixels, encoding.codes[colours], dst=canvas.region)
            return
        planes = [pixels]
        if encoding.channels > 1:
            planes = list(self._planes.array((encoding.channels, *pixels.shape[:2])))
            cv2.split(pixels, planes)
        # A table of all 256 values is as fast as a multiplication, faster than one and a sum, and exact.
        for colour, values, region in zip(colours, self._values, canvas.planes, strict=True):
            cv2.LUT(planes[encoding.channel(colour)], values, dst=region)


class _Canvas:
    """A network's input for images of one size: the border is filled once, only the image changes."""

    def __init__(self, image: ImageInput, placement: Placement, fill: list[Any], *, folded: bool) -> None:
        self.placement = placement
        rows = slice(placement.top, placement.top + placement.scaled_height)
        columns = slice(placement.left, placement.left + placement.scaled_width)
        self.tensor: NDArray[Any]
        self.region: NDArray[Any]
        self.planes: list[NDArray[Any]]
        if folded:
            self.tensor = np.empty((1, image.height, image.width, 3), np.uint8)
            self.tensor[:] = fill
            self.region = self.tensor[0, rows, columns]
            self.planes = []
        else:
            self.tensor = np.empty((1, 3, image.height, image.width), np.float32)
            self.tensor[:] = np.reshape(fill, (3, 1, 1))
            self.region = self.tensor[0, :, rows, columns]
            self.planes = list(self.region)


class _Scratch:
    """The memory of one step, kept from image to image: it grows to the largest and stays."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        """Return an array in this memory; what the last one held is gone."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size > self._bytes.size:
            self._bytes = np.empty(size, np.uint8)
        array: NDArray[Any] = self._bytes[:size].view(dtype).reshape(shape)
        return array
