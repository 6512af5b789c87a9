# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which shapes there are, how they look and where they are at any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes.background import Photograph, Pixels, View
from lowlat_nodes.sim.shapes.config import ShapesConfig
from lowlat_nodes.sim.shapes.optics import Optics
from lowlat_nodes.sim.shapes.outlines import NAMES, OUTLINES, Contours, blob
from lowlat_nodes.sim.shapes.skins import Skin

Floats = NDArray[np.float64]

_TRIES: Final = 8
_MARGIN: Final = 2  # px around a shape


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A shape or an occluder, and its motion.

    Attributes:
        label: Number of its class; -1 for an occluder.
        contours: Its outline and holes about its centre, px of the frame, before it turns.
        radius_px: Of the circle about its centre that holds it.
        size_px: Longer side of its box at time 0.
        start_px: Where its centre is at time 0, float64 [2].
        speed_px_s: Its velocity at time 0, float64 [2]; it bounces off the edges of the frame.
        spin_rad_s: How fast it turns.
        colour: Its mean colour, float64 [3].
        paint: uint8 [side, side, 3], what it is painted with around its centre.
        border: Colour of its outline; None without one.
        border_px: Width of the outline.
    """

    label: int
    contours: Contours
    radius_px: float
    size_px: float
    start_px: Floats
    speed_px_s: Floats
    spin_rad_s: float
    colour: Floats
    paint: Pixels
    border: tuple[int, int, int] | None
    border_px: int

    def motion(self, time_s: float, extent: Floats) -> tuple[Floats, Floats]:
        """Return centre and velocity, float64 [2] each, in px and px/s, in a frame of `extent` px."""
        way = (self.start_px + self.speed_px_s * time_s) % (2.0 * extent)
        return extent - np.abs(way - extent), np.where(way <= extent, 1.0, -1.0) * self.speed_px_s

    def outline(self, time_s: float, extent: Floats) -> Contours:
        """Return its outline and holes, px of the frame, where the first pixel is from 0 to 1."""
        centre, _ = self.motion(time_s, extent)
        return tuple(polygon @ _turn(self.spin_rad_s * time_s).T + centre for polygon in self.contours)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that there is to be seen.

    Attributes:
        view: What is behind.
        things: The furthest first.
        optics: How the camera sees it.
    """

    view: View
    things: tuple[Thing, ...]
    optics: Optics

    @staticmethod
    def draw(
        photographs: Sequence[Photograph],
        config: ShapesConfig,
        rng: np.random.Generator,
        moments_s: Sequence[float] = (0.0,),
    ) -> Scene:
        """Make up a scene.

        Colours are chosen apart from what is behind them at `moments_s`; at time 0 nothing hides much of
        another thing.
        """
        view = View.draw(photographs, config, rng)
        shapes = int(rng.integers(config.shapes[0], config.shapes[1] + 1))
        occluders = int(rng.integers(config.occluders + 1)) if shapes else 0
        labels = np.concatenate([rng.integers(len(NAMES), size=shapes), np.full(occluders, -1)])
        things: list[Thing] = []
        for label in rng.permutation(labels):
            things.append(_thing(int(label), photographs, view, things, config, rng, moments_s))
        return Scene(view, tuple(things), Optics.draw(config, rng))


def _turn(angle: float) -> Floats:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _logarithmic(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _thing(
    label: int,
    photographs: Sequence[Photograph],
    view: View,
    things: Sequence[Thing],
    config: ShapesConfig,
    rng: np.random.Generator,
    moments_s: Sequence[float],
) -> Thing:
    size = _logarithmic(rng, *(config.size_px if label >= 0 else config.occluder_px)) * config.scale
    stretch = math.exp(rng.uniform(-0.16, 0.16))
    turn = _turn(rng.uniform(0.0, 2.0 * math.pi)) @ np.diag([stretch, 1.0 / stretch])
    contours = [polygon @ turn.T for polygon in (OUTLINES[NAMES[label]] if label >= 0 else (blob(rng),))]
    low, high = contours[0].min(axis=0), contours[0].max(axis=0)
    factor = size / (high - low).max()
    contours = [(polygon - 0.5 * (low + high)) * factor for polygon in contours]
    speed = min(_logarithmic(rng, *config.speed_px_s) * config.scale, config.sizes_per_s * size) * _direction(
        rng
    )
    extent = np.array([config.width_px, config.height_px], dtype=np.float64)
    start = _place(0.5 * (high - low) * factor, things, extent, rng)
    radius = float(np.linalg.norm(contours[0], axis=1).max())
    side = 2 * (math.ceil(radius) + _MARGIN)
    bare = Thing(
        label,
        tuple(contours),
        radius,
        size,
        start,
        speed,
        float(rng.uniform(-1.0, 1.0)) * config.spin_rad_s,
        np.zeros(3),
        np.empty((0, 0, 3), np.uint8),
        None,
        1,
    )
    if label < 0:
        paint = _piece(photographs, view, side, rng)
        return _dressed(bare, paint.reshape(-1, 3).mean(axis=0), paint, None, 1)
    skin = Skin.draw(rng, _behind(bare, view, things, config, moments_s), config.contrast)
    border_px = max(1, round(2.0 * skin.border_share * size))
    return _dressed(bare, skin.colour, skin.paint(side), skin.border, border_px)


def _dressed(
    bare: Thing, colour: Floats, paint: Pixels, border: tuple[int, int, int] | None, border_px: int
) -> Thing:
    return Thing(
        bare.label,
        bare.contours,
        bare.radius_px,
        bare.size_px,
        bare.start_px,
        bare.speed_px_s,
        bare.spin_rad_s,
        colour,
        paint,
        border,
        border_px,
    )


def _direction(rng: np.random.Generator) -> Floats:
    angle = rng.uniform(0.0, 2.0 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])


def _place(half: Floats, things: Sequence[Thing], extent: Floats, rng: np.random.Generator) -> Floats:
    """Return a place, float64 [2], at which a box of such half sides hides little, if a few tries find it."""
    inset = np.minimum(0.4 * half, 0.5 * extent)
    place = rng.uniform(inset, extent - inset)
    for _ in range(_TRIES):
        if all(_hidden(place, half, thing) < 0.3 for thing in things if thing.label >= 0):
            break
        place = rng.uniform(inset, extent - inset)
    return place


def _hidden(place: Floats, half: Floats, thing: Thing) -> float:
    """Return the share of a thing's box that a box would hide."""
    other = 0.5 * thing.size_px
    sides = np.minimum(place + half, thing.start_px + other) - np.maximum(
        place - half, thing.start_px - other
    )
    return float(np.prod(sides.clip(min=0.0))) / thing.size_px**2


def _behind(
    thing: Thing, view: View, things: Sequence[Thing], config: ShapesConfig, moments_s: Sequence[float]
) -> Floats:
    """Return the colours, float64 [n, 3], of what is behind and beside a thing at some moments."""
    extent = np.array([config.width_px, config.height_px], dtype=np.float64)
    around = 0.55 * thing.size_px * np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)], dtype=np.float64)
    found = []
    for moment in moments_s:
        centre, _ = thing.motion(moment, extent)
        found.append(view.colours(around + centre, moment, config))
        found += [
            other.colour[None]
            for other in things
            if np.linalg.norm(other.motion(moment, extent)[0] - centre)
            < 0.8 * (other.radius_px + thing.radius_px)
        ]
    return np.concatenate(found)


def _piece(photographs: Sequence[Photograph], view: View, side: int, rng: np.random.Generator) -> Pixels:
    """Return a square of the same photograph or another, uint8 [side, side, 3], as large as life."""
    source = view.photograph if rng.random() < 0.6 else photographs[int(rng.integers(len(photographs)))]
    level = min(max(0, round(math.log2(view.zoom))), len(source.levels) - 1)
    pixels = source.levels[level]
    height, width = pixels.shape[:2]
    rows, columns = (
        _mirrored(int(rng.integers(length)) + np.arange(side), length) for length in (height, width)
    )
    piece: Pixels = pixels[np.ix_(rows, columns, np.array(view.channels))]
    return piece


def _mirrored(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    folded = index % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
