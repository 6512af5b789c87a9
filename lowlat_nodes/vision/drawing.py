# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections drawn into an image, for people to look at."""

from __future__ import annotations

import colorsys
import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Detections

Colour = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TURN = 0.618034  # of the circle of hues: neighbouring classes differ, and many classes never repeat
_LINE_SHARE = 400  # the longer side of an image over the width of a line
_NAME_LIMIT = 40  # letters
_DARK, _BRIGHT = (0, 0, 0), (255, 255, 255)
_MEDIUM = 3 * 128  # sum of the channels


def draw(image: NDArray[np.uint8], detections: Detections) -> NDArray[np.uint8]:
    """Draw box, name and score of each detection into an image, the best on top, and return it.

    Args:
        image: uint8 [height, width, 3], rgb; changed in place.
        detections: In px of the image; what lies beyond it is left out.
    """
    height, width = image.shape[:2]
    thick = max(1, round(max(height, width) / _LINE_SHARE))
    boxes = np.nan_to_num(detections.rows[:, :4]).clip(0, (width - 1, height - 1) * 2)
    corners = boxes.round().astype(int).tolist()
    for row in reversed(range(len(corners))):
        left, top, right, bottom = corners[row]
        colour = class_colour(int(detections.rows[row, 5]))
        cv2.rectangle(image, (left, top), (right, bottom), colour, thick)
        text, scale = label(detections, row), 0.4 * thick
        (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, thick)
        foot = max(top, text_height + below)  # above the box, or within it at the upper edge of the image
        head = foot - text_height - below
        cv2.rectangle(image, (left, head), (left + text_width, foot), colour, cv2.FILLED)
        ink = _DARK if sum(colour) > _MEDIUM else _BRIGHT
        cv2.putText(image, text, (left, foot - below), _FONT, scale, ink, thick, cv2.LINE_AA)
    return image


def label(detections: Detections, row: int) -> str:
    """Return name, track and score of a detection, as in `cup #3 0.87`."""
    score, number = float(detections.rows[row, 4]), int(detections.rows[row, 5])
    name = detections.names[number] if 0 <= number < len(detections.names) else f"class {number}"
    track = "" if detections.tracks is None else f" #{detections.tracks[row]}"
    return f"{name[:_NAME_LIMIT]}{track} {score:.2f}"


@functools.lru_cache(maxsize=1024)
def class_colour(number: int) -> Colour:
    """Return the colour of a class, rgb: the same in every image."""
    red, green, blue = colorsys.hsv_to_rgb(number * _TURN % 1.0, 0.8, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
