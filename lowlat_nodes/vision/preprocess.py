# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a camera's message to the input of a network, without fresh memory on the way."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.images import compressed
from lowlat_nodes.images.encodings import ENCODINGS, encoding_of, native, to_8_bits
from lowlat_nodes.images.limits import MAX_PIXELS
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.letterbox import Target
from lowlat_nodes.kernels.letterbox.conversions import CODES
from lowlat_nodes.kernels.letterbox.cpu import bits_of, place, resize, values_of, whole_colours
from lowlat_nodes.kernels.letterbox.scratch import Scratch
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import CompressedImage, Image
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
        self._max_pixels = max_pixels
        dtype = "float16" if half and not folded else "float32"
        try:
            self._target = Target(
                image.height, image.width, dtype, image.channels, image.mean, image.std, fill
            )
        except BadArgument as error:
            raise ConfigurationError(f"image: {error}") from error
        self._values, _ = values_of(self._target)
        self._canvases: dict[tuple[int, int], _Canvas] = {}
        self._small, self._bytes = Scratch(), Scratch()

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
            at = canvas.placement
            payload = compressed.decode(payload, head, head.reduction(at.scaled_width, at.scaled_height))
            encoding = ENCODINGS[payload.encoding]
        else:
            encoding = encoding_of(payload, self._max_pixels)
            canvas = self._canvas(payload.width, payload.height)
        pixels = native(payload.data)
        if encoding.scalar == "u2":
            pixels = self._in_bytes(pixels, canvas.region.shape[:2])
        if self._folded:
            self._paint(pixels, encoding.letterbox, canvas.region)
        else:
            place(pixels, encoding.letterbox, canvas.planes, self._values, self._image.channels)
        return canvas.tensor, canvas.placement

    def _canvas(self, width: int, height: int) -> _Canvas:
        """Return the canvas for images of a size, the least recently made one giving way to a new one."""
        canvas = self._canvases.get((width, height))
        if canvas is None:
            if len(self._canvases) == _CANVASES:
                del self._canvases[next(iter(self._canvases))]
            placement = self._place(width, height, self._image.width, self._image.height)
            canvas = _Canvas(placement, self._empty())
            self._canvases[width, height] = canvas
        return canvas

    def _empty(self) -> NDArray[Any]:
        """Return the network's input without an image."""
        if self._folded:
            return np.full((1, self._image.height, self._image.width, 3), self._fill, np.uint8)
        fill = np.array([self._fill], np.float64)
        values = [self._target.values(fill, channel) for channel in range(3)]
        tensor = np.empty(self._image.shape, self._target.dtype)
        tensor[:] = np.reshape(values, (3, 1, 1))
        return tensor

    def _in_bytes(self, pixels: NDArray[np.uint16], size: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return pixels of 16 bits in another size and 8 bits: most of them are gone when they are scaled."""
        if pixels.shape != size:
            pixels = resize(pixels, self._small.array(size, np.uint16))
        return to_8_bits(pixels, self._bytes.array(size))

    def _paint(self, pixels: NDArray[Any], encoding: str, region: NDArray[np.uint8]) -> None:
        """Place pixels into a canvas of bytes."""
        colours = self._image.channels
        pixels, found = whole_colours(pixels, encoding, colours)
        if found == colours:
            resize(pixels, region)
            return
        if pixels.shape[:2] != region.shape[:2]:
            pixels = resize(pixels, self._small.array((*region.shape[:2], *pixels.shape[2:])))
        cv2.cvtColor(pixels, CODES[found][colours], dst=region)


class _Canvas:
    """A network's input for images of one size: the border is filled once, only the image changes."""

    def __init__(self, placement: Placement, tensor: NDArray[Any]) -> None:
        self.placement = placement
        self.tensor = tensor
        rows = slice(placement.top, placement.top + placement.scaled_height)
        columns = slice(placement.left, placement.left + placement.scaled_width)
        self.region = tensor[0, rows, columns]
        self.planes: list[NDArray[Any]] = []
        if tensor.dtype != np.uint8:
            self.planes = list(bits_of(tensor)[0, :, rows, columns])
            self.region = self.planes[0]
