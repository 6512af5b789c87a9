# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.scene import Disc, Shape, Stroke

pytest.importorskip("cv2")
pytestmark = pytest.mark.sim
Q = (0.9, 1.1, 0.55)


@dataclass(frozen=True)
class Drawing:
    shapes: tuple[Shape, ...]


def _changed(*shapes: Shape) -> tuple[np.ndarray, np.ndarray]:
    camera = TableCamera()
    image = camera.render(Q, [Drawing(shapes)])
    return image, np.any(image != camera.render(Q), axis=-1)


def test_a_disc_is_as_large_as_it_says() -> None:
    _, changed = _changed(Disc(-0.3, 0.6, 0.08, (0, 0, 250)))
    across_px = 2 * 0.08 / 1.28 * 160
    assert np.ptp(np.nonzero(changed)[1]) == pytest.approx(across_px, abs=2.0)


def test_a_stroke_goes_through_its_points() -> None:
    points = ((-0.4, 0.7), (-0.2, 0.7), (-0.2, 0.5))
    image, changed = _changed(Stroke(points, 0.02, (250, 0, 250)))
    for point in points:
        column, row = np.rint(TableCamera().pixel(point)).astype(int)
        assert changed[row, column]
        assert image[row, column, 1] < 40


def test_what_comes_later_lies_on_top() -> None:
    image, _ = _changed(Disc(-0.3, 0.6, 0.05, (250, 0, 0)), Disc(-0.3, 0.6, 0.02, (0, 250, 0)))
    column, row = np.rint(TableCamera().pixel((-0.3, 0.6))).astype(int)
    assert tuple(image[row, column]) == (0, 250, 0)
