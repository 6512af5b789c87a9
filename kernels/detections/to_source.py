# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the boxes of a network lie in the image that it was given."""

from __future__ import annotations

import math
from typing import NamedTuple


class ToSource(NamedTuple):
    """The way of boxes from the output of a network to px of the source image, in this order.

    Attributes:
        width: What x and width are multiplied by to be px of the network's input: its width for boxes from 0
            to 1, 1 for px.
        height: The same for y and height.
        left: Column of the input at which the source image begins, px.
        top: Row at which it begins, px.
        x_scale: Source px per px of the input.
        y_scale: The same for rows.
        x_low: The least x in the result.
        y_low: The least y.
        x_high: The greatest x: the width of the source image, px.
        y_high: The greatest y: its height, px.
    """

    width: float = 1.0
    height: float = 1.0
    left: float = 0.0
    top: float = 0.0
    x_scale: float = 1.0
    y_scale: float = 1.0
    x_low: float = 0.0
    y_low: float = 0.0
    x_high: float = math.inf
    y_high: float = math.inf

    def is_sound(self) -> bool:
        """Return whether sizes and scales are above 0, all of them finite, and something can remain."""
        above = (self.width, self.height, self.x_scale, self.y_scale)
        return (
            min(above) > 0
            and math.isfinite(sum(above) + self.left + self.top)
            and self.x_low < self.x_high
            and self.y_low < self.y_high
        )


UNPLACED = ToSource(x_low=-math.inf, y_low=-math.inf)
"""Boxes stay as they are and are not clipped."""
