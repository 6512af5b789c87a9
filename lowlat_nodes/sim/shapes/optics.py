# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a camera does to a scene: exposure, white balance, blur and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes.background import Pixels
from lowlat_nodes.sim.shapes.config import ShapesConfig


@dataclass(frozen=True, slots=True, eq=False)
class Optics:
    """A camera's settings in a scene.

    Attributes:
        exposure_s: What moves is blurred over this time.
        defocus_px: Sigma of the blur of the whole frame, px of the frame.
        gain: float64 [3], of red, green and blue on average.
        flicker: By which share the gain rises and falls.
        flicker_rad_s: How fast.
        gamma: Of the contrast.
        noise: Standard deviation of the noise at full white, of 255; a quarter of it at black.
    """

    exposure_s: float
    defocus_px: float
    gain: NDArray[np.float64]
    flicker: float
    flicker_rad_s: float
    gamma: float
    noise: float

    @staticmethod
    def draw(config: ShapesConfig, rng: np.random.Generator) -> Optics:
        """Choose the settings of a scene."""
        gain = math.exp(rng.uniform(*np.log(config.gain))) * np.exp(rng.uniform(-0.06, 0.06, 3))
        return Optics(
            rng.uniform(*config.exposure_ms) * 1e-3,
            rng.uniform(*config.defocus_px) * config.scale,
            gain,
            rng.uniform(0.0, 0.15),
            rng.uniform(0.3, 2.0),
            math.exp(rng.uniform(-0.2, 0.2)),
            rng.uniform(*config.noise),
        )

    def table(self, time_s: float) -> Pixels:
        """Return what becomes of each value of each channel, uint8 [256, 3]."""
        gain = self.gain * (1.0 + self.flicker * math.sin(self.flicker_rad_s * time_s))
        light = (np.arange(256) / 255.0)[:, None] ** self.gamma * gain
        # A sensor's response bends before it saturates.
        light = np.where(light > 0.8, 0.8 + 0.2 * np.tanh((light - 0.8) / 0.2), light)
        return np.rint(255.0 * light).clip(0, 255).astype(np.uint8)


class Sensor:
    """Adds noise that grows with the light, from a store of random numbers.

    Args:
        config: The size of its frames.
        rng: What the store is filled from.
    """

    def __init__(self, config: ShapesConfig, rng: np.random.Generator) -> None:
        self._shape = (config.height_px, config.width_px, 3)
        count = 3 * config.height_px * config.width_px + (1 << 16)
        self._store = (
            np.rint(32.0 * rng.standard_normal(count, dtype=np.float32)).clip(-127, 127).astype(np.int16)
        )

    def add_noise(self, image: Pixels, deviation: float, start: int) -> Pixels:
        """Return `image` with noise of `deviation` at 255, the numbers taken from `start` on."""
        # Odd and large, so that times that differ by a frame begin far apart.
        begin = (start * 0x9E3779B1 >> 7) % (1 << 16)
        noise = self._store[begin : begin + math.prod(self._shape)].reshape(self._shape)
        light = np.arange(256) / 255.0
        strength = np.rint(8.0 * deviation * np.sqrt(0.0625 + 0.9375 * light)).clip(0, 255)
        # 127 x 255 fits: the store holds at most four deviations, 32 each.
        scaled = noise * cv2.LUT(image, strength.astype(np.uint8))
        scaled >>= 8
        return cv2.add(image, scaled, dtype=cv2.CV_8U)
