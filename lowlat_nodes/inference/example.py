# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Inputs to try a model with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import Model

_SQUARE = 32  # px


def example(
    model: Model, image: ImageInput | None, further: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return inputs to try a model with, the same ones each time: coloured squares under noise.

    Args:
        model: Says what it takes.
        image: The image input, if it has one.
        further: Values of other inputs; where they are missing, numbers from 0 to 1, and 1 for integers.
    """
    random = np.random.default_rng(0)
    feed = {}
    for name, spec in model.inputs.items():
        if image is not None and name == image.name:
            feed[name] = _pixels(image) if spec.dtype is np.uint8 else _values(image, spec.dtype)
        elif name in further:
            feed[name] = np.ascontiguousarray(further[name], spec.dtype)
        else:
            shape = [size or 1 for size in spec.shape]
            is_float = issubclass(spec.dtype, np.floating)
            feed[name] = (random.random(shape) if is_float else np.ones(shape)).astype(spec.dtype)
    return feed


def _pixels(image: ImageInput) -> np.ndarray:
    random = np.random.default_rng(0)
    rows, columns = -(-image.height // _SQUARE), -(-image.width // _SQUARE)
    squares = random.integers(0, 192, (rows, columns, 3), np.uint8).repeat(_SQUARE, 0).repeat(_SQUARE, 1)
    noise = random.integers(0, 64, (1, *squares.shape), np.uint8)
    return np.ascontiguousarray((squares + noise)[:, : image.height, : image.width])


def _values(image: ImageInput, dtype: type[np.generic]) -> np.ndarray:
    values = (_pixels(image) - np.array(image.mean, np.float32)) / np.array(image.std, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), dtype)
