# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeStream, one scene at any time, and ShapeSamples, any number of scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lowlat_nodes.sim.shapes.background import Photograph, Pixels
from lowlat_nodes.sim.shapes.config import ShapesConfig
from lowlat_nodes.sim.shapes.outlines import NAMES
from lowlat_nodes.sim.shapes.renderer import Frame, Renderer, Truth
from lowlat_nodes.sim.shapes.scene import Scene
from lowlat_nodes.stream.errors import ConfigurationError

_MOMENTS_S: Final = tuple(0.7 * n for n in range(12))  # at which a stream's colours are chosen to differ
_NOISE, _STREAM, _SAMPLE = range(3)  # what a seed is used for


class ShapeStream:
    """A scene of moving shapes, rendered at any time; the same arguments always give the same frames.

    Args:
        backgrounds: Photographs, uint8 [height, width, 3], rgb.
        config: What it shows.
        seed: Which scene, from 0 on.

    Attributes:
        names: The classes, by number.
        config: What it shows.
        scene: What there is to be seen.

    Raises ConfigurationError if there is no photograph, or one that is not as said.
    """

    names = NAMES

    def __init__(
        self, backgrounds: Sequence[Pixels], config: ShapesConfig | None = None, seed: int = 0
    ) -> None:
        self.config = config or ShapesConfig()
        self.scene = Scene.draw(
            _photographs(backgrounds), self.config, np.random.default_rng([seed, _STREAM]), _MOMENTS_S
        )
        self._renderer = Renderer(self.config, np.random.default_rng([seed, _NOISE]))

    def frame(self, time_ns: int) -> Frame:
        """Return the frame whose exposure has its middle at `time_ns` after the start."""
        return self._renderer.frame(self.scene, time_ns * 1e-9, time_ns)

    def truth(self, time_ns: int) -> Truth:
        """Return what is to be found at a time, without rendering the image."""
        return self._renderer.truth(self.scene, time_ns * 1e-9)


class ShapeSamples:
    """Any number of scenes, at one instant each, to train and to judge with.

    Args:
        backgrounds: Photographs, uint8 [height, width, 3], rgb.
        config: What they show.
        seed: Which scenes, from 0 on.

    Attributes:
        names: The classes, by number.
        config: What they show.

    Raises ConfigurationError if there is no photograph, or one that is not as said.
    """

    names = NAMES

    def __init__(
        self, backgrounds: Sequence[Pixels], config: ShapesConfig | None = None, seed: int = 0
    ) -> None:
        self.config = config or ShapesConfig()
        self._photographs = _photographs(backgrounds)
        self._seed = seed
        self._renderer = Renderer(self.config, np.random.default_rng([seed, _NOISE]))

    def frame(self, number: int) -> Frame:
        """Return frame `number`, from 0 on; it is the same whichever came before."""
        rng = np.random.default_rng([self._seed, _SAMPLE, number])
        return self._renderer.frame(Scene.draw(self._photographs, self.config, rng), 0.0, number)


def _photographs(backgrounds: Sequence[Pixels]) -> list[Photograph]:
    if not backgrounds:
        raise ConfigurationError("expected at least one photograph as a background, got none")
    return [Photograph(pixels) for pixels in backgrounds]
