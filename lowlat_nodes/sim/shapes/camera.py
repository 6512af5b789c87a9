# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera before a scene of moving shapes: numbered frames, each with what is truly in it."""

from __future__ import annotations

import importlib.util
from typing import Any, Final

import cv2
import numpy as np

from lowlat_nodes.sim.shapes.background import Pixels
from lowlat_nodes.sim.shapes.dead_leaves import dead_leaves
from lowlat_nodes.sim.shapes.outlines import NAMES
from lowlat_nodes.sim.shapes.photographs import photographs
from lowlat_nodes.sim.shapes.renderer import Truth
from lowlat_nodes.sim.shapes.stream import ShapeStream
from lowlat_nodes.stream.payload import CompressedImage, Detections, Image

PHOTOGRAPHS, DRAWN = "photographs", "drawn"
_DRAWN_COUNT: Final = 4
_UNSEEN: Final = 1_000_000  # far from the seeds that training draws with


def kind_of_background(wanted: str) -> str:
    """Return `photographs` or `drawn`; of `auto`, photographs where scikit-image is installed."""
    if wanted != "auto":
        return wanted
    return PHOTOGRAPHS if importlib.util.find_spec("skimage") else DRAWN


def backgrounds(kind: str, seed: int) -> list[Pixels]:
    """Return images to put behind shapes, uint8 [height, width, 3], rgb; none that a model was trained on.

    Args:
        kind: `photographs` for those kept for tests, or `drawn`.
        seed: Of the drawn ones.

    Raises:
        MissingExtra: If photographs are asked for and scikit-image is not installed.
    """
    return photographs("test") if kind == PHOTOGRAPHS else dead_leaves(_DRAWN_COUNT, _UNSEEN + seed)


class ShapesCamera:
    """Takes frame after frame of a stream, at a fixed rate.

    Args:
        stream: What it sees.
        rate_hz: Frames per second.
        jpeg_quality: 1 to 100: frames are JPEG files; None: they are rgb8.

    Attributes:
        period_ns: Time between two frames.
    """

    def __init__(self, stream: ShapeStream, rate_hz: float, jpeg_quality: int | None = None) -> None:
        self.period_ns = round(1e9 / rate_hz)
        self._stream = stream
        self._jpeg_quality = jpeg_quality

    def take(self, number: int) -> tuple[Image | CompressedImage, Detections]:
        """Return frame `number`, from 0 on, and its truth; the same whichever came before.

        Each detection has the score 1, and the same track in every frame.
        """
        frame = self._stream.frame(number * self.period_ns)
        truth = as_detections(frame.truth)
        if self._jpeg_quality is None:
            return Image(frame.image, "rgb8"), truth
        return _packed(frame.image, self._jpeg_quality), truth


def as_detections(truth: Truth) -> Detections:
    """Return what is to be found in a frame as a detector without fault would report it."""
    rows = np.ones((len(truth.boxes), 6), np.float32)
    rows[:, :4] = truth.boxes
    rows[:, 5] = truth.labels
    return Detections(rows, NAMES, truth.identities)


def _packed(pixels: Pixels, quality: int) -> CompressedImage:
    bgr: Any = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return CompressedImage(data.reshape(-1), "rgb8; jpeg compressed bgr8")
