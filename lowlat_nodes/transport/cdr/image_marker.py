# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""visualization_msgs/msg/ImageMarker: the boxes of all detections as one list of lines, for viewers.

Written only, because lines do not say what they are the boxes of. A marker without points removes those of
the image before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.transport.cdr.detections import checked_rows
from lowlat_nodes.transport.cdr.wire import Writer

_LINE_LIST = 2
_ADD = 0
_WIDTH_PX = 2.0
_OPAQUE = (1.0, 1.0, 1.0, 1.0)

# Columns of the rows: both ends of the upper, right, lower and left edge.
_X = [0, 2, 2, 2, 2, 0, 0, 0]
_Y = [1, 1, 1, 3, 3, 3, 3, 1]
_HUE_STEP = 0.618034  # the golden ratio keeps the hues of any number of classes apart
_PRIMARIES = np.array([0.0, 2 / 3, 1 / 3])


def write_image_marker(writer: Writer, stamp_ns: int, frame_id: str, payload: Detections) -> bytes:
    """Write the boxes of detections, in a colour for each class."""
    rows = checked_rows(payload)
    points = np.zeros((len(rows), len(_X), 3))
    points[..., 0], points[..., 1] = rows[:, _X], rows[:, _Y]
    colours = np.repeat(_colours(rows[:, 5]), 4, axis=0)  # one for each line
    writer.time_ns(stamp_ns)
    writer.string(frame_id)
    writer.string("detections")
    for number in (0, _LINE_LIST, _ADD):
        writer.u4(number)
    for _ in "xyz":
        writer.f8(0.0)
    writer.f4(_WIDTH_PX)
    for value in _OPAQUE:
        writer.f4(value)
    writer.u1(0)  # not filled
    for value in _OPAQUE:
        writer.f4(value)
    writer.time_ns(0)  # until replaced
    writer.floats(points.reshape(-1, 3))
    writer.u4(len(colours))
    return writer.finish(colours.tobytes())


def _colours(classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return red, green, blue and opacity for each class: [n, 4], little-endian."""
    hues = (classes[:, None].astype(np.float64) * _HUE_STEP + _PRIMARIES) % 1.0
    colours = np.ones((len(classes), 4), "<f4")
    colours[:, :3] = np.clip(np.abs(6.0 * hues - 3.0) - 1.0, 0.0, 1.0)
    return colours
