# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A top-down camera over the arm's table, rasterised with OpenCV from the simulated state (no GL)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.sim.kinematics import forward
from lowlat_nodes.sim.scene import Disc, Shape, Thing
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

VIEW_WIDTH_M: Final = 1.28
VIEW_ORIGIN_M: Final = (-0.64, -0.16)  # lower left corner in the table frame; the base is at (0, 0)
_FRACTION_BITS: Final = 4  # sub-pixel bits of OpenCV's anti-aliased drawing


@dataclass(frozen=True)
class CameraConfig:
    """Image size in pixels; the view is always `VIEW_WIDTH_M` wide and pixels are square."""

    width_px: int = 160
    height_px: int = 120

    def __post_init__(self) -> None:
        if self.width_px * 3 != self.height_px * 4 or self.width_px < 64:
            raise ConfigurationError(
                f"expected a 4:3 image at least 64 px wide, got {self.width_px}x{self.height_px}; "
                "try 160x120 or 640x480"
            )


class TableCamera:
    """Draws the table, the arm and what lies on the table as rgb8; the same state gives the same image.

    The table top is translucent and the arm moves under it, so that nothing that matters is ever hidden.
    Raises MissingExtra where OpenCV is not installed.
    """

    def __init__(self, config: CameraConfig | None = None) -> None:
        try:
            import cv2
        except ImportError as error:
            raise MissingExtra("cv2") from error
        self._cv2 = cv2
        self.config = config or CameraConfig()
        self._px_per_m = self.config.width_px / VIEW_WIDTH_M
        self._table = self._draw_table()

    def pixel(self, point: ArrayLike) -> NDArray[np.float64]:
        """Image coordinates (x to the right, y down, in px) of points [..., 2] in m in the table frame."""
        xy = (np.asarray(point, dtype=np.float64) - VIEW_ORIGIN_M) * self._px_per_m
        return np.stack([xy[..., 0], self.config.height_px - xy[..., 1]], axis=-1) - 0.5

    def render(self, q: ArrayLike, things: Iterable[Thing] = ()) -> NDArray[np.uint8]:
        """The image of the arm at joint angles `q` [3] in rad under some things: uint8 [H, W, 3], rgb8."""
        image: NDArray[np.uint8] = self._table.copy()
        points = self._fixed_point(self.pixel(forward(q)))
        for shade, width_m in (((52, 56, 62), 0.052), ((168, 172, 178), 0.036)):
            self._line(image, points, width_m, shade)
        for joint in points[:-1]:
            self._disc(image, joint, 0.016, (70, 74, 80))
        self._disc(image, points[-1], 0.022, (250, 250, 245))
        for thing in things:
            for shape in thing.shapes:
                self._draw(image, shape)
        return image

    def _draw(self, image: NDArray[np.uint8], shape: Shape) -> None:
        if isinstance(shape, Disc):
            centre = self._fixed_point(self.pixel((shape.x_m, shape.y_m)))
            self._disc(image, centre, shape.radius_m, shape.rgb)
        else:
            self._line(image, self._fixed_point(self.pixel(shape.points_m)), shape.width_m, shape.rgb)

    def _draw_table(self) -> NDArray[np.uint8]:
        height, width = self.config.height_px, self.config.width_px
        rows = np.linspace(0.0, 1.0, height)[:, None, None]
        grain = 4.0 * np.sin(np.linspace(0.0, 40.0, width))[None, :, None]
        table = np.array([92.0, 76.0, 60.0]) + 26.0 * rows + grain
        return table.clip(0, 255).astype(np.uint8)

    def _fixed_point(self, px: NDArray[np.float64]) -> NDArray[np.int32]:
        return np.rint(px * (1 << _FRACTION_BITS)).astype(np.int32)

    def _line(
        self, image: NDArray[np.uint8], points: NDArray[np.int32], width_m: float, colour: tuple[int, ...]
    ) -> None:
        thickness = max(1, round(width_m * self._px_per_m))
        self._cv2.polylines(image, [points], False, colour, thickness, self._cv2.LINE_AA, _FRACTION_BITS)

    def _disc(
        self, image: NDArray[np.uint8], centre: NDArray[np.int32], radius_m: float, colour: tuple[int, ...]
    ) -> None:
        radius = max(1, round(radius_m * self._px_per_m * (1 << _FRACTION_BITS)))
        at = (int(centre[0]), int(centre[1]))
        self._cv2.circle(image, at, radius, colour, -1, self._cv2.LINE_AA, _FRACTION_BITS)
