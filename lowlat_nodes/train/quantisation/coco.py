# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotations in the format of the COCO benchmark (cocodataset.org, format-data), for images in a folder."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.quantisation.samples import Sample, Truth, read_sample

MAX_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class Annotations:
    """Which images are labelled, and how.

    Attributes:
        files: Name of each image below its folder.
        truths: What is in each, in the same order.
        left_out: Names of categories that are none of the model's classes.
    """

    files: tuple[str, ...]
    truths: tuple[Truth, ...]
    left_out: tuple[str, ...]

    def samples(self, folder: Path, numbers: Iterable[int]) -> list[Sample]:
        """Return some of the images, by number, read from their folder."""
        return [read_sample(folder / self.files[n], self.truths[n]) for n in numbers]


def read_coco(path: Path, names: Sequence[str]) -> Annotations:
    """Read annotations; boxes of a crowd become regions that are ignored.

    Args:
        path: A JSON file with images, annotations and categories.
        names: The classes of the model, to which categories are matched by name.

    Raises:
        ConfigurationError: If the file is missing, too large, not of that form, leads out of its folder, or
            has no category that the model knows.
    """
    if not path.is_file():
        raise ConfigurationError(f"expected COCO annotations, found nothing at {path}")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_BYTES} bytes, got {size}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no JSON: {error}") from error
    images, annotations, categories = (
        _records(path, content, part) for part in ("images", "annotations", "categories")
    )
    numbers = {name: number for number, name in enumerate(names)}
    known: dict[Any, int] = {}
    left_out = []
    for record in categories:
        name = str(_field(path, record, "categories", "name"))
        if name in numbers:
            known[_field(path, record, "categories", "id")] = numbers[name]
        else:
            left_out.append(name)
    if not known:
        raise ConfigurationError(
            f"{path}: expected categories called as the model's classes, {', '.join(names[:12])}; got "
            f"{', '.join(left_out[:12])}"
        )
    found: dict[Any, list[tuple[list[float], int, bool]]] = defaultdict(list)
    for record in annotations:
        label = known.get(_field(path, record, "annotations", "category_id"))
        if label is not None:
            image = _field(path, record, "annotations", "image_id")
            found[image].append((_box(path, record), label, bool(record.get("iscrowd", 0))))
    files, truths = [], []
    for record in images:
        files.append(_name(path, _field(path, record, "images", "file_name")))
        truths.append(_truth(found[_field(path, record, "images", "id")]))
    if not files:
        raise ConfigurationError(f"{path}: expected images, got none")
    return Annotations(tuple(files), tuple(truths), tuple(left_out))


def _records(path: Path, content: Any, part: str) -> list[dict[str, Any]]:
    records = content.get(part) if isinstance(content, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ConfigurationError(f"{path}: expected a list of objects under {part!r}, as COCO has it")
    return records


def _field(path: Path, record: dict[str, Any], part: str, name: str) -> Any:
    value = record.get(name)
    if not isinstance(value, str | int):
        raise ConfigurationError(f"{path}: expected {name!r}, a number or text, in {part}, got {value!r}")
    return value


def _box(path: Path, record: dict[str, Any]) -> list[float]:
    """Return left, top, right and bottom edge."""
    box = record.get("bbox")
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(isinstance(side, int | float) and math.isfinite(side) for side in box)
    ):
        raise ConfigurationError(f"{path}: expected a 'bbox' of 4 finite numbers in annotations, got {box!r}")
    left, top, width, height = box
    return [left, top, left + width, top + height]


def _name(path: Path, name: Any) -> str:
    parts = PurePosixPath(str(name))
    if parts.is_absolute() or ".." in parts.parts:
        raise ConfigurationError(f"{path}: expected a 'file_name' below the folder of images, got {name!r}")
    return str(name)


def _truth(found: list[tuple[list[float], int, bool]]) -> Truth:
    wanted = [(box, label) for box, label, crowd in found if not crowd]
    return Truth(
        np.array([box for box, _ in wanted], np.float64).reshape(-1, 4),
        np.array([label for _, label in wanted], np.int64),
        np.array([box for box, _, crowd in found if crowd], np.float64).reshape(-1, 4),
    )
