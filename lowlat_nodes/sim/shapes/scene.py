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

from lowlat_nodes.sim.shapes.background import Photograph, View
from lowlat_nodes.sim.shapes.config import ShapesConfig
from lowlat_nodes.sim.shapes.motion import Motion
from lowlat_nodes.sim.shapes.optics import Optics
from lowlat_nodes.sim.shapes.outlines import NAMES, OUTLINES, Contours, area, blob
from lowlat_nodes.sim.shapes.skins import Skin

Floats = NDArray[np.float64]

_TRIES: Final = 8
_HIDES: Final = 0.3  # most of the box of one shape that another may cover at time 0
_MARGIN_PX: Final = 4  # that a skin is wider than what it covers
_BESIDE: Final = np.array([(0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)])


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A shape, or a patch of background that hides shapes.

    Attributes:
        label: Number of its class; -1 for a patch.
        contours: Its outline and holes about its centre, px of the frame, before it turns.
        area_px: Within them.
        size_px: Longer side of its box before it turns.
        motion: Where it is.
        skin: What it is painted with.
    """

    label: int
    contours: Contours
    area_px: float
    size_px: float
    motion: Motion
    skin: Skin

    def outline(self, time_s: float) -> Contours:
        """Return its outline and holes in px of the frame, whose first pixel is from 0 to 1."""
        turn = _turn(self.motion.spin_rad_s * time_s).T
        centre = self.motion.position(time_s)
        return tuple(polygon @ turn + centre for polygon in self.contours)


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

        Colours are chosen apart from what is behind them at `moments_s`; at time 0 nothing hides much of a
        shape.
        """
        view = View.draw(photographs, config, rng, moving=len(moments_s) > 1)
        shapes = int(rng.integers(config.shapes[0], config.shapes[1] + 1))
        patches = int(rng.integers(config.occluders + 1))
        labels = [*rng.integers(len(NAMES), size=shapes).tolist(), *[-1] * patches]
        things: list[Thing] = []
        for label in rng.permutation(labels).tolist():
            things.append(_thing(label, photographs, view, things, config, rng, moments_s))
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
    contours, width, height = _sized(OUTLINES[NAMES[label]] if label >= 0 else (blob(rng),), size, rng)
    x, y = _place(width, height, things, config, rng)
    speed = min(_logarithmic(rng, *config.speed_px_s) * config.scale, config.sizes_per_s * size)
    way = rng.uniform(0.0, 2.0 * math.pi)
    spin = rng.uniform(-1.0, 1.0) * config.spin_rad_s
    motion = Motion(
        x, y, speed * math.cos(way), speed * math.sin(way), spin, config.width_px, config.height_px
    )
    side = 2 * math.ceil(math.sqrt(float(np.square(contours[0]).sum(axis=1).max()))) + _MARGIN_PX
    if label >= 0:
        behind = _behind(motion, size, view, things, moments_s)
        skin = Skin.draw(rng, side, size, behind, config.contrast)
    else:
        skin = Skin.of(view.piece(photographs, side, rng))
    within = area(contours[0]) - sum(area(hole) for hole in contours[1:])
    return Thing(label, contours, within, size, motion, skin)


def _sized(contours: Contours, size_px: float, rng: np.random.Generator) -> tuple[Contours, float, float]:
    """Stretch and turn polygons until their box is centred and its longer side is as given; and its sides."""
    stretch = math.exp(rng.uniform(-0.16, 0.16))
    turn = (_turn(rng.uniform(0.0, 2.0 * math.pi)) * (stretch, 1.0 / stretch)).T
    turned = [polygon @ turn for polygon in contours]
    low, high = turned[0].min(axis=0), turned[0].max(axis=0)
    width, height = (high - low).tolist()
    factor = size_px / max(width, height)
    middle = 0.5 * (low + high)
    return tuple((polygon - middle) * factor for polygon in turned), width * factor, height * factor


def _place(
    width: float, height: float, things: Sequence[Thing], config: ShapesConfig, rng: np.random.Generator
) -> tuple[float, float]:
    """Return a place at which a box hides little of other shapes, if a few tries find one.

    At least two fifths of its width and height are within the frame.
    """
    inset_x, inset_y = min(0.4 * width, 0.5 * config.width_px), min(0.4 * height, 0.5 * config.height_px)
    for x, y in rng.random((_TRIES, 2)).tolist():
        place = (
            inset_x + x * (config.width_px - 2.0 * inset_x),
            inset_y + y * (config.height_px - 2.0 * inset_y),
        )
        if all(_hidden(place, width, height, thing) <= _HIDES for thing in things if thing.label >= 0):
            break
    return place


def _hidden(place: tuple[float, float], width: float, height: float, thing: Thing) -> float:
    """Return the share of a thing's square that a box would hide."""
    half = 0.5 * thing.size_px
    share = 1.0
    centre = (thing.motion.x_px, thing.motion.y_px)
    for mine, side, its in zip(place, (width, height), centre, strict=True):
        common = min(mine + 0.5 * side, its + half) - max(mine - 0.5 * side, its - half)
        share *= max(0.0, common) / thing.size_px
    return share


def _behind(
    motion: Motion,
    size_px: float,
    view: View,
    things: Sequence[Thing],
    moments_s: Sequence[float],
) -> Floats:
    """Return the colours, float64 [n, 3], of what is behind and beside a thing at some moments."""
    beside = 0.55 * size_px * _BESIDE
    found = []
    for moment in moments_s:
        x, y = centre = motion.position(moment)
        found.append(view.colours(beside + centre, moment))
        for other in things:
            its_x, its_y = other.motion.position(moment)
            if math.hypot(its_x - x, its_y - y) < 0.7 * (other.size_px + size_px):
                found.append(other.skin.colour[None])
    return np.concatenate(found)
