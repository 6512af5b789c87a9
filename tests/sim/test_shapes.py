# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.shapes import NAMES, ShapeSamples, ShapesConfig, ShapeStream
from lowlat_nodes.stream.errors import ConfigurationError

GREY = np.full((400, 500, 3), 128, np.uint8)


def test_frames_have_the_asked_size_and_the_same_arguments_give_the_same_frame() -> None:
    config = ShapesConfig(width_px=640, height_px=480, scale=2.0)
    one, two = (ShapeStream([GREY], config, seed=5).frame(123_000_000) for _ in range(2))
    assert one.image.shape == (480, 640, 3)
    assert one.image.dtype == np.uint8
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.truth.boxes, two.truth.boxes)


def test_truth_without_an_image_is_that_of_the_frame() -> None:
    stream = ShapeStream([GREY], ShapesConfig(shapes=(9, 9)), seed=1)
    for time_ns in range(0, 3_000_000_000, 250_000_000):
        truth, frame = stream.truth(time_ns), stream.frame(time_ns)
        assert np.array_equal(truth.boxes, frame.boxes)
        assert np.array_equal(truth.identities, frame.truth.identities)


def test_boxes_lie_within_the_frame_and_classes_have_names() -> None:
    samples = ShapeSamples([GREY], seed=3)
    for number in range(40):
        frame = samples.frame(number)
        assert ((frame.labels >= 0) & (frame.labels < len(NAMES))).all()
        assert (frame.boxes >= 0).all()
        assert (frame.boxes <= 320).all()
        assert (frame.boxes[:, 2:] > frame.boxes[:, :2]).all()


def test_a_stream_needs_photographs() -> None:
    with pytest.raises(ConfigurationError, match="at least one photograph"):
        ShapeStream([])
    with pytest.raises(ConfigurationError, match=r"uint8 \[height, width, 3\]"):
        ShapeStream([np.zeros((100, 100), np.uint8)])
