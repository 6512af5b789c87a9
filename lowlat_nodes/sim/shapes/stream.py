# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of moving shapes, and what is truly in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes.background import Photograph, Pixels
from lowlat_nodes.sim.shapes.config import ShapesConfig
from lowlat_nodes.sim.shapes.masks import Mask, rasterise, visible_extent
from lowlat_nodes.sim.shapes.optics import Sensor
from lowlat_nodes.sim.shapes.outlines import NAMES
from lowlat_nodes.sim.shapes.scene import Scene, Thing
from lowlat_nodes.stream.errors import ConfigurationError

_MOMENTS_S: Final = tuple(0.7 * n for n in range(12))  # at which a stream's colours are chosen to differ


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


class _Studio:
    """What all scenes of a stream share."""

    def __init__(self, backgrounds: Sequence[Pixels], config: ShapesConfig | None, seed: int) -> None:
        if not backgrounds:
            raise ConfigurationError("expected at least one photograph as a background, got none")
        self.config = config or ShapesConfig()
        self.seed = seed
        self.photographs = [Photograph(pixels) for pixels in backgrounds]
        self._sensor = Sensor(self.config, np.random.default_rng([seed, 0]))

    def masks(self, scene: Scene, time_s: float, *, blurred: bool) -> list[Mask | None]:
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

    def frame(self, scene: Scene, time_ns: int, noise: int) -> Frame:
        time_s = time_ns * 1e-9
        masks = self.masks(scene, time_s, blurred=True)
        truth = self.truth(scene, time_s, masks)
        return Frame(self.image(scene, time_s, masks, noise), truth)

    def truth(self, scene: Scene, time_s: float, masks: Sequence[Mask | None]) -> Truth:
        config = self.config
        boxes, labels, identities, velocities, ignored = [], [], [], [], []
        for number, (thing, mask) in enumerate(zip(scene.things, masks, strict=True)):
            if thing.label < 0 or mask is None:
                continue
            nearer = [other for other in masks[number + 1 :] if other is not None]
            box, share = visible_extent(mask, thing.area_px, nearer, config.width_px, config.height_px)
            if share >= config.visible:
                boxes.append(box)
                labels.append(thing.label)
                identities.append(number)
                velocities.append(thing.motion.velocity(time_s))
            else:
                ignored.append(mask.box.clip(0.0, [config.width_px, config.height_px] * 2))
        return Truth(
            np.array(boxes, dtype=np.float32).reshape(-1, 4),
            np.array(labels, dtype=np.int64),
            np.array(identities, dtype=np.int64),
            np.array(velocities, dtype=np.float32).reshape(-1, 2),
            np.array(ignored, dtype=np.float32).reshape(-1, 4),
        )

    def image(self, scene: Scene, time_s: float, masks: Sequence[Mask | None], noise: int) -> Pixels:
        config, optics = self.config, scene.optics
        image = scene.view.render(time_s, config)
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


class ShapeStream:
    """A scene of moving shapes, rendered at any time; the same arguments always give the same frames.

    Args:
        backgrounds: Photographs, uint8 [height, width, 3], rgb.
        config: What it shows.
        seed: Which scene; each is another.

    Raises ConfigurationError if there is no photograph, or one that is not as said.
    """

    names = NAMES

    def __init__(
        self, backgrounds: Sequence[Pixels], config: ShapesConfig | None = None, seed: int = 0
    ) -> None:
        self._studio = _Studio(backgrounds, config, seed)
        self.config = self._studio.config
        rng = np.random.default_rng([seed, 1])
        self._scene = Scene.draw(self._studio.photographs, self.config, rng, _MOMENTS_S)

    def truth(self, time_ns: int) -> Truth:
        """Return what is to be found at a time, without rendering the image."""
        time_s = time_ns * 1e-9
        return self._studio.truth(self._scene, time_s, self._studio.masks(self._scene, time_s, blurred=False))

    def frame(self, time_ns: int) -> Frame:
        """Return the frame whose exposure has its middle at `time_ns`, from 0 on."""
        return self._studio.frame(self._scene, time_ns, time_ns)


class ShapeSamples:
    """Any number of scenes at one instant each, to train and judge with: frame `n` is always the same.

    Args:
        backgrounds: Photographs, uint8 [height, width, 3], rgb.
        config: What they show.
        seed: Which scenes.

    Raises ConfigurationError if there is no photograph, or one that is not as said.
    """

    names = NAMES

    def __init__(
        self, backgrounds: Sequence[Pixels], config: ShapesConfig | None = None, seed: int = 0
    ) -> None:
        self._studio = _Studio(backgrounds, config, seed)
        self.config = self._studio.config

    def frame(self, number: int) -> Frame:
        """Return frame `number`, from 0 on."""
        rng = np.random.default_rng([self._studio.seed, 2, number])
        scene = Scene.draw(self._studio.photographs, self.config, rng)
        return self._studio.frame(scene, 0, int(rng.integers(1 << 16)))
