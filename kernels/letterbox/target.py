# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network wants of pixels, as the operation `letterbox` is told."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS
from lowlat_nodes.kernels.errors import BadArgument

_CHANNELS = ("rgb", "bgr")
DTYPES = ("float32", "float16", "int8")
INT8 = (-128, 127)


@dataclass(frozen=True)
class Target:
    """The image input of a network, and how a pixel becomes one of its values.

    A pixel p of 0 to 255 becomes v = (p - mean) / std, and with int8 that becomes round(v / scale) +
    zero_point, to the nearest and from the middle to the even number, kept within -128 to 127: what
    QuantizeLinear of ONNX does.

    Attributes:
        height: Rows, px.
        width: Columns, px.
        dtype: Of the values: float32, float16 or int8.
        channels: The order of the network's channels: rgb or bgr.
        mean: Per channel, in that order, in units of a pixel.
        std: Per channel, in that order, in units of a pixel.
        fill: Of all channels of a pixel beside the image, in units of a pixel.
        scale: Of int8: what a step of 1 means.
        zero_point: Of int8: what 0 becomes.

    Raises:
        BadArgument: If one of these cannot be.
    """

    height: int
    width: int
    dtype: str = "float32"
    channels: str = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    fill: float = 114.0
    scale: float = 1.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or 3 * self.height * self.width > MOST_ELEMENTS:
            raise BadArgument(
                f"target: expected 1 to {MOST_ELEMENTS // 3} px, got {self.width} x {self.height}"
            )
        if self.dtype not in DTYPES:
            raise BadArgument(f"target.dtype: expected one of {', '.join(DTYPES)}; got {self.dtype!r}")
        if self.channels not in _CHANNELS:
            raise BadArgument(
                f"target.channels: expected one of {', '.join(_CHANNELS)}; got {self.channels!r}"
            )
        for name in ("mean", "std"):
            three = getattr(self, name)
            if not isinstance(three, tuple) or len(three) != 3 or not all(map(math.isfinite, three)):
                raise BadArgument(f"target.{name}: expected a tuple of 3 finite numbers, got {three}")
        if not all(self.std):
            raise BadArgument(f"target.std: expected no zero, got {self.std}")
        if not 0 <= self.fill <= 255:
            raise BadArgument(f"target.fill: expected 0 to 255, got {self.fill}")
        if self.dtype == "int8":
            self._check_steps()
        self._check_range()

    @functools.cached_property
    def gain(self) -> tuple[float, float, float]:
        """What a pixel is multiplied by, per channel; with int8 in steps."""
        red, green, blue = (1.0 / std / self._step for std in self.std)
        return red, green, blue

    @functools.cached_property
    def offset(self) -> tuple[float, float, float]:
        """What is added to that, per channel; with int8 in steps, before `zero_point`."""
        red, green, blue = (-mean / std / self._step for mean, std in zip(self.mean, self.std, strict=True))
        return red, green, blue

    def values(self, pixels: NDArray[np.float64], channel: int) -> NDArray[Any]:
        """Return pixels of one channel as the network has them, computed in float64 and rounded once."""
        values = (pixels - self.mean[channel]) / self.std[channel]
        if self.dtype == "int8":
            values = np.clip(np.rint(values / self.scale) + self.zero_point, *INT8)
        return np.asarray(values, self.dtype)

    @property
    def _step(self) -> float:
        return self.scale if self.dtype == "int8" else 1.0

    def _check_steps(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise BadArgument(f"target.scale: expected a positive number, got {self.scale}")
        if not INT8[0] <= self.zero_point <= INT8[1]:
            raise BadArgument(f"target.zero_point: expected -128 to 127, got {self.zero_point}")

    def _check_range(self) -> None:
        between = "float16" if self.dtype == "float16" else "float32"
        parts = [abs(number) for number in (*self.offset, *(255 * gain for gain in self.gain))]
        if not sum(parts) <= float(np.finfo(between).max):
            raise BadArgument(
                f"target: expected mean, std and scale that make numbers which {between} can hold, got "
                f"{self.mean}, {self.std} and {self.scale}"
            )
