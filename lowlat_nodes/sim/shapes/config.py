# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How hard a rendered stream of shapes is."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.stream.errors import ConfigurationError

Range = tuple[float, float]


@dataclass(frozen=True)
class ShapesConfig:
    """What a rendered stream of shapes shows, and how hard it is to see.

    Lengths are in px of the network; `scale` turns them into px of the frame.

    Attributes:
        width_px: Of the frame.
        height_px: Of the frame.
        scale: Px of the frame per px of the network: 2 for 640x480 frames that are letterboxed to 320.
        shapes: Fewest and most shapes in a scene.
        size_px: Smallest and largest longer side of a shape's box; the logarithm is uniform.
        speed_px_s: Slowest and fastest speed; the logarithm is uniform.
        sizes_per_s: No shape moves by more of its own sizes a second.
        spin_rad_s: Fastest turn.
        occluders: Most patches of background that move before the shapes.
        occluder_px: Smallest and largest longer side of such a patch.
        visible: A shape of which less than this share is to be seen is ignored, neither wanted nor an error.
        contrast: Least distance between the colour of a shape and what is behind it, of 255 per channel.
        exposure_ms: Shortest and longest exposure: what moves is blurred along its way.
        defocus_px: Sigma of the blur of the whole frame, least and most.
        noise: Standard deviation of the sensor's noise at full white, least and most, of 255.
        gain: Darkest and brightest exposure.
        zoom: Px of a photograph per px of the network, least and most.
        pan_px_s: Fastest pan over the photograph.
        recolour: Whether photographs change their colours from scene to scene, which makes more of few.
    """

    width_px: int = 320
    height_px: int = 320
    scale: float = 1.0
    shapes: tuple[int, int] = (1, 9)
    size_px: Range = (8.0, 160.0)
    speed_px_s: Range = (8.0, 240.0)
    sizes_per_s: float = 5.0
    spin_rad_s: float = 1.5
    occluders: int = 2
    occluder_px: Range = (24.0, 120.0)
    visible: float = 0.4
    contrast: float = 60.0
    exposure_ms: Range = (1.0, 16.0)
    defocus_px: Range = (0.0, 0.9)
    noise: Range = (1.0, 9.0)
    gain: Range = (0.65, 1.3)
    zoom: Range = (0.5, 1.7)
    pan_px_s: float = 12.0
    recolour: bool = False

    def __post_init__(self) -> None:
        if not (16 <= self.width_px <= 8192 and 16 <= self.height_px <= 8192):
            raise ConfigurationError(
                f"expected a frame of 16 to 8192 px a side, got {self.width_px}x{self.height_px}"
            )
        if not 0.1 <= self.scale <= 16.0:
            raise ConfigurationError(f"scale: expected 0.1 to 16 px per px of the network, got {self.scale}")
        if not 0 <= self.shapes[0] <= self.shapes[1] <= 100:
            raise ConfigurationError(f"shapes: expected fewest and most, 0 to 100, got {self.shapes}")
        if not 0 <= self.occluders <= 100:
            raise ConfigurationError(f"occluders: expected 0 to 100, got {self.occluders}")
        if not 0.0 < self.visible <= 1.0:
            raise ConfigurationError(f"visible: expected a share above 0, at most 1, got {self.visible}")
        for name in ("size_px", "occluder_px"):
            low, high = getattr(self, name)
            if not 1.0 <= low <= high <= 1024.0:
                raise ConfigurationError(
                    f"{name}: expected smallest and largest, 1 to 1024, got {low}, {high}"
                )
        for name in ("speed_px_s", "exposure_ms", "gain", "zoom"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high < float("inf"):
                raise ConfigurationError(f"{name}: expected least and most, above 0, got {low}, {high}")
        for name in ("defocus_px", "noise"):
            low, high = getattr(self, name)
            if not 0.0 <= low <= high <= 30.0:
                raise ConfigurationError(f"{name}: expected least and most, 0 to 30, got {low}, {high}")
