# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network wants of pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageInput:
    """The image input of a graph, [1, 3, height, width], and what its values are.

    A value is `(pixel - mean) / std` of a pixel from 0 to 255. A backend that can folds this, and the step
    from [height, width, 3] uint8, into the graph.

    Attributes:
        name: The input's name.
        height: Rows, px.
        width: Columns, px.
        mean: Per channel, in units of a pixel.
        std: Per channel, in units of a pixel.
        channels: The order of the channels: rgb or bgr.
    """

    name: str
    height: int
    width: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    channels: str = "rgb"
