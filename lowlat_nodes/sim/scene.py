# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a camera over the table can see: shapes, the things that are made of them, and an instant's view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Disc:
    """A filled circle in m in the table frame, in one colour."""

    x_m: float
    y_m: float
    radius_m: float
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points in m in the table frame, in one colour."""

    points_m: tuple[tuple[float, float], ...]
    width_m: float
    rgb: tuple[int, int, int]


Shape: TypeAlias = Disc | Stroke


class Thing(Protocol):
    """Something on the table; it never changes, what moves is another thing each time."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """What it looks like, the lowest shape first."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What there was to be seen at an instant; the camera draws it when an image is asked for.

    Attributes:
        captured_ns: The instant.
        q: float64 [3], joint angles in rad.
        things: What lay on the table.
    """

    captured_ns: int
    q: NDArray[np.float64]
    things: tuple[Thing, ...]
