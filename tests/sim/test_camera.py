# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.camera import CameraConfig, TableCamera
from lowlat_nodes.sim.kinematics import forward
from lowlat_nodes.sim.reaction import LIGHT_RGB, Light
from lowlat_nodes.stream.errors import ConfigurationError

pytest.importorskip("cv2")
pytestmark = pytest.mark.sim
Q = (0.9, 1.1, 0.55)


def _light(x_m: float, y_m: float, colour: str = "red") -> Light:
    return Light(id=0, colour=colour, asked=True, x_m=x_m, y_m=y_m, onset_ns=0, window_ns=1)


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (320, 240)])
def test_images_are_rgb8_of_the_asked_size(size: tuple[int, int]) -> None:
    image = TableCamera(CameraConfig(*size)).render(Q)
    assert image.shape == (size[1], size[0], 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


@pytest.mark.parametrize("colour", list(LIGHT_RGB))
@pytest.mark.parametrize("place", [(-0.45, 0.2), (0.1, 0.5), (0.5, 0.1)])
def test_a_light_shows_where_it_is_in_its_colour(place: tuple[float, float], colour: str) -> None:
    camera = TableCamera()
    light = _light(*place, colour)
    changed = np.any(camera.render(Q, [light]) != camera.render(Q), axis=-1)
    rows, columns = np.nonzero(changed)
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(camera.pixel(place)), abs=0.5)
    brightest = camera.render(Q, [light])[changed].astype(int).sum(axis=0)
    assert brightest.argmax() == ["red", "green", "blue"].index(colour)


def test_the_fingertip_is_drawn_where_the_joints_put_it() -> None:
    camera = TableCamera(CameraConfig(640, 480))
    column, row = np.rint(camera.pixel(forward(Q)[-1])).astype(int)
    assert camera.render(Q)[row, column].min() > 230


def test_the_image_follows_the_joints_and_nothing_else() -> None:
    camera = TableCamera()
    first = camera.render(Q)
    assert not np.array_equal(first, camera.render((1.2, 1.1, 0.55)))
    assert np.array_equal(first, camera.render(Q))


def test_a_distorted_size_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="4:3"):
        CameraConfig(640, 360)
