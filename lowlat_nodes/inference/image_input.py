# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network wants of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError

_MOST_PIXELS = 8192 * 8192


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

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the sizes of the input of the graph."""
        return (1, 3, self.height, self.width)

    @property
    def folded_shape(self) -> tuple[int, int, int, int]:
        """Return the sizes of the uint8 input that it becomes in a backend that folds."""
        return (1, self.height, self.width, 3)


def fixed_shapes(
    path: Path, inputs: Mapping[str, TensorSpec], image: ImageInput
) -> dict[str, tuple[int, ...]]:
    """Return the sizes of each input for one image at a time: those of the image, a first open one 1.

    Args:
        path: The model, for messages.
        inputs: As the file has them, 0 where a size is open.
        image: The image input.

    Returns:
        By name; 0 where a size stays open.

    Raises:
        ConfigurationError: If the model has no such input, or one of other sizes; if the image is larger than
            8192 x 8192.
    """
    if image.height * image.width > _MOST_PIXELS:
        raise ConfigurationError(
            f"{path}: expected an image of at most {_MOST_PIXELS} px, got {image.width} x {image.height}"
        )
    spec = inputs.get(image.name)
    if spec is None:
        raise ConfigurationError(
            f"{path}: expected an image input {image.name!r}, its inputs are {', '.join(inputs) or 'none'}"
        )
    if len(spec.shape) != 4 or any(
        size not in {0, wanted} for size, wanted in zip(spec.shape, image.shape, strict=True)
    ):
        raise ConfigurationError(
            f"{path}: expected {image.name!r} to take {list(image.shape)}, it takes {list(spec.shape)} "
            f"(0: any size)"
        )
    shapes = {
        name: tuple((size or 1) if axis == 0 else size for axis, size in enumerate(item.shape))
        for name, item in inputs.items()
    }
    return shapes | {image.name: image.shape}
