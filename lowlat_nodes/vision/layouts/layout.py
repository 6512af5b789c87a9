# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What every layout of a detector's outputs has in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.vision.layouts.graph import Graph
from lowlat_nodes.vision.placement import RESIZES, Placement, Rows


class UnexpectedOutput(LowlatError):
    """A model gave an array of another shape than its layout has; that frame has no detections."""


class Layout(ABC):
    """How to feed a detector and what its outputs mean; used by one thread.

    Args:
        name: One of `settings.LAYOUTS`.
        graph: The graph that has this layout.
        outputs: The names of the outputs that it is read from.
        names: The names of the classes by number.

    Attributes:
        name: As given.
        image: The image input and the values that it takes.
        resize: How an image is fitted into it: letterbox or stretch.
        fill: The grey value around a letterboxed image, 0 to 255.
        names: The names of the classes by number; every class that `decode` returns has one.
        outputs: The outputs that `decode` wants, in that order.
        feed: What the graph takes besides the image, by input name; the same for every image.
        refused: How many rows so far were NaN, infinite, or of a class that does not exist.
        candidates: How many boxes the last image had from the threshold on, before any suppression.
    """

    default_resize: ClassVar[str]
    default_normalisation: ClassVar[str] = "unit"

    def __init__(self, name: str, graph: Graph, outputs: list[str], names: tuple[str, ...]) -> None:
        resize = graph.settings.resize
        self.name = name
        self.image = graph.image_input(self.default_normalisation)
        self.resize = self.default_resize if resize == "auto" else resize
        self.fill = graph.settings.fill
        self.names = names
        self.outputs = outputs
        self.feed: dict[str, NDArray[np.generic]] = {}
        self.refused = 0
        self.candidates = 0

    def place(self, width: int, height: int) -> Placement:
        """Return where an image of a size, px, goes in the input."""
        return RESIZES[self.resize](width, height, self.image.width, self.image.height)

    def decode(
        self,
        outputs: list[NDArray[np.generic]],
        placement: Placement,
        threshold: float,
        limit: int,
        classes: NDArray[np.bool_] | None = None,
        most_candidates: int | None = None,
    ) -> Rows:
        """Return the detections in an image.

        Args:
            outputs: What the model gave for `self.outputs`.
            placement: Where the image was in the input.
            threshold: The least score.
            limit: The most detections; the best ones.
            classes: bool [len(names)], which classes are wanted; None for all.
            most_candidates: How many boxes are looked at, the best ones; the work on them grows with the
                square of their number where they need suppression. None for all.

        Returns:
            float32 [n, 6] of its own memory, by falling score: x1, y1, x2, y2 in px of the source image and
            within it, x1 < x2, y1 < y2; score; class. A row with a NaN, an infinite number or a class that
            does not exist is left out and counted in `refused`.

        Raises:
            UnexpectedOutput: If the arrays do not have the shapes of this layout.
        """
        with np.errstate(all="ignore"):  # what is no number is refused, what is too large is clipped
            rows = self._sound(self._candidates(outputs, np.float32(threshold), classes), classes)
            self.candidates = len(rows)
            rows = self._distinct(rows[:most_candidates])
            placement.to_source(rows)
        extended = rows[:, 2:4] > rows[:, :2]
        return rows[:limit] if extended.all() else rows[extended.all(axis=1)][:limit]

    @abstractmethod
    def _candidates(
        self,
        outputs: list[NDArray[np.generic]],
        threshold: np.float32,
        classes: NDArray[np.bool_] | None,
    ) -> Rows:
        """Return rows in px of the input, by falling score, none below the threshold, of their own memory."""

    def _distinct(self, rows: Rows) -> Rows:
        """Return the rows without those that stand for a thing which a better row stands for."""
        return rows

    def _sound(self, rows: Rows, classes: NDArray[np.bool_] | None) -> Rows:
        """Return the rows that are numbers throughout and of a wanted class."""
        # After the model has been through the caches each call of NumPy costs 10 us, so the usual takes few.
        numbers = rows[:, 5]
        labels = numbers.astype(np.intp)
        usual = (
            len(rows) > 0
            and math.isfinite(np.add.reduce(rows, axis=None))
            and (labels == numbers).all()
            and labels.min() >= 0
            and labels.max() < len(self.names)
        )
        if not usual:
            rows = self._numbers(rows)
        if classes is not None:
            wanted = classes[rows[:, 5].astype(np.intp)]
            if not wanted.all():
                rows = rows[wanted]
        return rows

    def _numbers(self, rows: Rows) -> Rows:
        """Return the rows that are numbers throughout and of a class that exists; count the others."""
        numbers = rows[:, 5]
        sound = (numbers >= 0) & (numbers < len(self.names)) & (numbers == np.trunc(numbers))
        sound &= np.isfinite(rows).all(axis=1)
        self.refused += len(rows) - int(np.count_nonzero(sound))
        kept: Rows = rows[sound]
        return kept

    def _shaped(self, output: NDArray[np.generic], *shape: int) -> NDArray[np.float32]:
        """Return the one entry of a batch as float32; a size of 0 may be any.

        Raises:
            UnexpectedOutput: If it is no batch of one such array.
        """
        actual = output.shape
        if (
            len(actual) != 1 + len(shape)
            or actual[0] != 1
            or any(size and size != found for size, found in zip(shape, actual[1:], strict=True))
        ):
            expected = ", ".join(str(size or "?") for size in (1, *shape))
            raise UnexpectedOutput(f"layout {self.name}: expected an output [{expected}], got {list(actual)}")
        entry: NDArray[np.float32] = output[0].astype(np.float32, copy=False)
        return entry
