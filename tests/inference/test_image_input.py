# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Open sizes of a model are fixed by the image that it is to take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.image_input import ImageInput, fixed_shapes
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.stream.errors import ConfigurationError

IMAGE = ImageInput("images", 12, 20)
PATH = Path("model.onnx")


def inputs(**shapes: tuple[int, ...]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(name, shape, np.float32) for name, shape in shapes.items()}


def test_open_sizes_are_those_of_one_image() -> None:
    found = fixed_shapes(PATH, inputs(images=(0, 3, 0, 0), size=(0, 2), state=(1, 0), scale=()), IMAGE)
    assert found == {"images": (1, 3, 12, 20), "size": (1, 2), "state": (1, 0), "scale": ()}


@pytest.mark.parametrize("shape", [(1, 3, 12, 24), (2, 3, 12, 20), (1, 12, 20, 3), (3, 12, 20), (0, 1, 0, 0)])
def test_an_image_of_other_sizes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"expected 'images' to take \[1, 3, 12, 20\]"):
        fixed_shapes(PATH, inputs(images=shape), IMAGE)


def test_a_missing_image_input_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected an image input 'images', its inputs are pixels"):
        fixed_shapes(PATH, inputs(pixels=(1, 3, 12, 20)), IMAGE)


def test_an_image_that_would_fill_the_memory_is_refused() -> None:
    huge = ImageInput("images", 100_000, 100_000)
    with pytest.raises(
        ConfigurationError, match="expected an image of at most 67108864 px, got 100000 x 100000"
    ):
        fixed_shapes(PATH, inputs(images=(1, 3, 100_000, 100_000)), huge)
