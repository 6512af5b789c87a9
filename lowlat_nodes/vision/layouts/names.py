# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The names of a detector's classes."""

from __future__ import annotations

import ast
import contextlib
import json
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.stream.errors import ConfigurationError

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""The 80 classes of COCO detection in the order of their ids."""

COCO_GAPS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""The numbers from 0 to 90 that are no id of a COCO class; models with 91 classes number them by id."""

UNNAMED = 1000
"""How many classes are numbered where neither the graph nor anybody says how many there are."""

_MOST_CHARACTERS = 1 << 18
_MOST_NAMES = 10_000


@dataclass(frozen=True)
class ClassNames:
    """What is known of the classes before it is known how many the outputs have.

    Attributes:
        known: The names, or None where nobody gave any.
        coco: Whether they are those of COCO, as many as the model has of them.
    """

    known: tuple[str, ...] | None
    coco: bool = False

    @staticmethod
    def read(metadata: str, given: tuple[str, ...]) -> ClassNames:
        """Take the names of the settings, or else those of a model's metadata.

        Args:
            metadata: Entry `names`: a JSON list, or a Python literal of {number: name} or [name, ...].
            given: Names from the settings; ("coco",) for COCO's.

        Raises:
            ConfigurationError: If the metadata entry is none of that, or too long.
        """
        if given == ("coco",):
            return ClassNames(COCO, coco=True)
        if given:
            return ClassNames(given)
        return ClassNames(_parse(metadata) if metadata.strip() else None)

    @property
    def count(self) -> int:
        """Return how many names there are; 0 where none are known."""
        return len(self.known) if self.known else 0

    @property
    def any(self) -> tuple[str, ...]:
        """Return the names where the outputs do not tell how many classes there are."""
        return self.known or _numbers(UNNAMED)

    def of(self, count: int) -> tuple[str, ...] | None:
        """Return the names for a number of classes, 0 for an unknown one; None if they do not fit it."""
        if self.known is None:
            return _numbers(count or UNNAMED)
        if self.coco and count in {90, 91}:
            names = iter(COCO)
            return tuple(str(i) if i in COCO_GAPS else next(names) for i in range(91))[:count]
        return self.known if count in {0, len(self.known)} else None


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _parse(text: str) -> tuple[str, ...]:
    if len(text) > _MOST_CHARACTERS:
        raise ConfigurationError(
            f"the model's metadata entry names has {len(text)} characters, expected at most "
            f"{_MOST_CHARACTERS}; give the setting names instead"
        )
    names = _literal(text)
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[i] for i in range(len(names))]
    if (
        not isinstance(names, list | tuple)
        or not 0 < len(names) <= _MOST_NAMES
        or not all(isinstance(name, str) for name in names)
    ):
        raise ConfigurationError(
            "the model's metadata entry names should be a list of class names or a mapping of 0, 1, ... to "
            f"them, got {text[:80]!r}; give the setting names instead"
        )
    return tuple(names)


def _literal(text: str) -> Any:
    """Return what the text says as JSON or as a Python literal; None if it is neither."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    with contextlib.suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return ast.literal_eval(text)
    return None
