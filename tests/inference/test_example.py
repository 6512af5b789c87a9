# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every backend is tried with the same image, in the form that it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lowlat_nodes.inference.example import example
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.onnx import OnnxModel

Network = Callable[..., Path]
IMAGE = ImageInput("images", 40, 50, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_pixels_and_values_are_of_one_image(network: Network) -> None:
    path = network(sizes=("N", 3, "H", "W"))
    pixels = example(OnnxModel(path, image=IMAGE, folded=True), IMAGE, {})["images"]
    values = example(OnnxModel(path, image=IMAGE), IMAGE, {})["images"]
    assert (pixels.shape, pixels.dtype) == ((1, 40, 50, 3), np.uint8)
    assert (values.shape, values.dtype) == ((1, 3, 40, 50), np.float32)
    assert values.flags.c_contiguous
    for channel in range(3):
        expected = (pixels[..., channel] - np.float32(IMAGE.mean[channel])) / np.float32(IMAGE.std[channel])
        np.testing.assert_allclose(values[:, channel], expected, rtol=1e-6)
    assert pixels.std() > 20


def test_further_inputs_are_taken_or_made_up(network: Network) -> None:
    model = OnnxModel(network(sizes=("N", 3, "H", "W")), image=IMAGE)
    assert example(model, IMAGE, {"size": np.array([[7]])})["size"].tolist() == [[7]]
    assert example(model, IMAGE, {})["size"].tolist() == [[1]]
    plain = example(model, None, {})
    assert plain["images"].shape == (1, 3, 40, 50)
    assert 0.0 <= plain["images"].min() < plain["images"].max() <= 1.0


def test_it_is_the_same_each_time(network: Network) -> None:
    model = OnnxModel(network(), image=ImageInput("images", 12, 20))
    first, second = (example(model, ImageInput("images", 12, 20), {}) for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)
