# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a scene to a frame and to what is truly in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes.background import Pixels
from lowlat_nodes.sim.shapes.config import ShapesConfig
from lowlat_nodes.sim.shapes.masks import Mask, rasterise, visible_extent
from lowlat_nodes.sim.shapes.optics import Sensor
from lowlat_nodes.sim.shapes.scene import Scene, Thing


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is to be found in a frame.

    Attributes:
        boxes: float32 [n, 4], left, top, right and bottom edge in px of what is to be seen of each shape.
        labels: int64 [n], numbers of their classes.
        identities: int64 [n], the same number for the same shape over frames.
        velocities: float32 [n, 2], of their centres in px/s.
        ignored: float32 [m, 4], boxes of shapes that are hidden or cut off too much to be asked for.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    identities: NDArray[np.int64]
    velocities: NDArray[np.float32]
    ignored: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image and what is to be found in it.

    Attributes:
        image: uint8 [height, width, 3], rgb.
        truth: At the middle of the exposure.
    """

    image: Pixels
    truth: Truth

    @property
    def boxes(self) -> NDArray[np.float32]:
        """Return float32 [n, 4], the boxes of the truth."""
        return self.truth.boxes

    @property
    def labels(self) -> NDArray[np.int64]:
        """Return int64 [n], the classes of the truth."""
        return self.truth.labels


class Renderer:
    """Turns scenes into frames and their truth.

    Args:
        config: The size of the frames, and what of a hidden shape is still asked for.
        rng: What the noise of the sensor is made of.
    """

    def __init__(self, config: ShapesConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._sensor = Sensor(config, rng)

    def frame(self, scene: Scene, time_s: float, noise: int) -> Frame:
        """Render a scene at a time; `noise` is the number of the sensor's noise."""
        masks = self._masks(scene, time_s, blurred=True)
        return Frame(self._image(scene, time_s, masks, noise), self._truth(scene, time_s, masks))

    def truth(self, scene: Scene, time_s: float) -> Truth:
        """Return what `frame` would have as its truth, without rendering the image."""
        return self._truth(scene, time_s, self._masks(scene, time_s, blurred=False))

    def _masks(self, scene: Scene, time_s: float, *, blurred: bool) -> list[Mask | None]:
        """Return what each thing covers, with room for the blur of its motion if it is to be painted."""
        width, height = self.config.width_px, self.config.height_px
        return [
            rasterise(
                thing.outline(time_s),
                width,
                height,
                1 + (math.ceil(0.5 * _smear(thing, scene)) if blurred else 0),
            )
            for thing in scene.things
        ]

    def _truth(self, scene: Scene, time_s: float, masks: Sequence[Mask | None]) -> Truth:
        boxes, labels, identities, velocities, ignored = [], [], [], [], []
        for number, (thing, mask) in enumerate(zip(scene.things, masks, strict=True)):
            if thing.label < 0 or mask is None:
                continue
            nearer = [other for other in masks[number + 1 :] if other is not None]
            box, share = visible_extent(mask, thing.area_px, nearer)
            if share >= self.config.visible:
                boxes.append(box)
                labels.append(thing.label)
                identities.append(number)
                velocities.append(thing.motion.velocity(time_s))
            else:
                ignored.append(mask.box)
        return Truth(
            np.array(boxes, dtype=np.float32).reshape(-1, 4),
            np.array(labels, dtype=np.int64),
            np.array(identities, dtype=np.int64),
            np.array(velocities, dtype=np.float32).reshape(-1, 2),
            np.array(ignored, dtype=np.float32).reshape(-1, 4),
        )

    def _image(self, scene: Scene, time_s: float, masks: Sequence[Mask | None], noise: int) -> Pixels:
        optics = scene.optics
        image = scene.view.render(time_s)
        for thing, mask in zip(scene.things, masks, strict=True):
            if mask is not None:
                self._paint(image, thing, mask, time_s, _smear(thing, scene))
        if optics.defocus_px > 0.25:
            image = cv2.GaussianBlur(image, (0, 0), optics.defocus_px)
        image = cv2.LUT(image, optics.table(time_s)[:, None])
        if optics.noise > 0.0:
            image = self._sensor.add_noise(image, optics.noise, noise)
        return image

    def _paint(self, image: Pixels, thing: Thing, mask: Mask, time_s: float, smear_px: float) -> None:
        x, y = thing.motion.position(time_s)
        skin = thing.skin
        rows, columns = mask.cover.shape
        middle = 0.5 * (skin.pixels.shape[0] - 1)
        at = (middle + mask.left + 0.5 * columns - x, middle + mask.top + 0.5 * rows - y)
        paint: Pixels = cv2.getRectSubPix(skin.pixels, (columns, rows), at)
        if skin.border is not None:
            corners = [
                np.rint((polygon - (mask.left, mask.top) - 0.5) * 16.0).astype(np.int32)
                for polygon in thing.outline(time_s)
            ]
            cv2.polylines(paint, corners, True, skin.border, skin.border_px, cv2.LINE_AA, 4)
        cover = mask.cover
        if smear_px > 1.0:
            kernel = _line(thing.motion.velocity(time_s), smear_px)
            cover, paint = cv2.filter2D(cover, -1, kernel), cv2.filter2D(paint, -1, kernel)
        part = image[mask.top : mask.top + rows, mask.left : mask.left + columns]
        weight = cover.astype(np.float32) * np.float32(1.0 / 255.0)
        part[:] = cv2.blendLinear(paint, np.ascontiguousarray(part), weight, 1.0 - weight)


def _smear(thing: Thing, scene: Scene) -> float:
    """Return how far a thing moves while the shutter is open, px."""
    return math.hypot(thing.motion.x_px_s, thing.motion.y_px_s) * scene.optics.exposure_s


def _line(velocity: tuple[float, float], length_px: float) -> NDArray[np.float32]:
    """Return a kernel that smears by a length along a direction."""
    reach = math.ceil(0.5 * length_px)
    side = 2 * reach + 1
    kernel = np.zeros((side, side), np.float32)
    steps = np.linspace(-0.5, 0.5, 4 * side)[:, None] * length_px * np.array(velocity) / math.hypot(*velocity)
    columns, rows = np.rint(steps).astype(np.int64).T + reach
    np.add.at(kernel, (rows, columns), 1.0 / len(steps))
    return kernel
