# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from lowlat_nodes.sim.shapes import NAMES, ShapesConfig, ShapeStream
from lowlat_nodes.sim.shapes.camera import ShapesCamera, backgrounds, kind_of_background
from lowlat_nodes.stream.payload import CompressedImage, Image

CONFIG = ShapesConfig(width_px=96, height_px=64, shapes=(3, 3))


def camera(seed: int = 0, jpeg_quality: int | None = None) -> ShapesCamera:
    return ShapesCamera(ShapeStream(backgrounds("drawn", seed), CONFIG, seed), 10.0, jpeg_quality)


def pixels(image: Image | CompressedImage) -> np.ndarray:
    assert isinstance(image, Image)
    return image.data


def test_frames_are_those_of_the_stream_one_period_apart() -> None:
    stream = ShapeStream(backgrounds("drawn", 2), CONFIG, 2)
    image, truth = camera(2).take(7)
    frame = stream.frame(700_000_000)
    assert np.array_equal(pixels(image), frame.image)
    assert np.array_equal(truth.rows[:, :4], frame.truth.boxes)
    assert truth.rows[:, 5].tolist() == frame.truth.labels.tolist()
    assert (truth.rows[:, 4] == 1.0).all()
    assert truth.names == NAMES
    assert truth.tracks is not None
    assert truth.tracks.tolist() == frame.truth.identities.tolist()


def test_a_frame_is_the_same_whichever_came_before_and_differs_by_seed() -> None:
    first, second = camera(), camera()
    first.take(0)
    assert np.array_equal(pixels(first.take(5)[0]), pixels(second.take(5)[0]))
    assert not np.array_equal(pixels(first.take(6)[0]), pixels(first.take(5)[0]))
    assert not np.array_equal(pixels(camera(1).take(5)[0]), pixels(first.take(5)[0]))


def test_jpeg_files_are_of_the_same_frame_with_the_same_truth() -> None:
    image, truth = camera(jpeg_quality=95).take(3)
    plain, same = camera().take(3)
    assert isinstance(image, CompressedImage)
    assert image.format == "rgb8; jpeg compressed bgr8"
    decoded = cv2.cvtColor(cv2.imdecode(image.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(decoded.astype(int) - pixels(plain)).mean() < 8
    assert np.array_equal(truth.rows, same.rows)


def test_drawn_backgrounds_need_nothing() -> None:
    assert kind_of_background("drawn") == "drawn"
    assert all(image.shape[2] == 3 for image in backgrounds("drawn", 0))


@pytest.mark.photographs
def test_photographs_are_taken_where_there_are_some() -> None:
    assert kind_of_background("auto") == "photographs"
    assert len(backgrounds("photographs", 0)) >= 4
