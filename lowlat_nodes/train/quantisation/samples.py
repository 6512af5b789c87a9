# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images to calibrate and to judge by, and what is truly in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.images import compressed
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.sim.shapes import NAMES, ShapeSamples, ShapesConfig
from lowlat_nodes.sim.shapes.photographs import photographs
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import CompressedImage, Image

T = TypeVar("T")

FORMATS: Final = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
MAX_FILE_BYTES: Final = 64 << 20
_CALIBRATION_SEED: Final = 2_000_000
_JUDGING_SEED: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class Truth:
    """What is to be found in an image.

    Attributes:
        boxes: float [n, 4], left, top, right and bottom edge, px of the image.
        labels: int64 [n], numbers of the model's classes.
        ignored: float [m, 4], regions in which detections are neither right nor wrong.
    """

    boxes: NDArray[np.floating]
    labels: NDArray[np.int64]
    ignored: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Sample:
    """An image to look at.

    Attributes:
        name: What it is called when something is wrong with it.
        image: The image.
        truth: What is to be found in it; None where nobody says.
    """

    name: str
    image: Image | CompressedImage
    truth: Truth | None = None


def rendered(split: str, count: int, names: Sequence[str], width: int, height: int) -> list[Sample]:
    """Return rendered shapes in front of photographs of a split: train to calibrate, test to judge.

    Args:
        split: train or test.
        count: How many.
        names: The classes of the model.
        width: Of the model's input, px.
        height: Of the model's input, px.

    Raises:
        ConfigurationError: If the model has other classes.
    """
    if tuple(names) != NAMES:
        raise ConfigurationError(
            f"rendered shapes are {', '.join(NAMES)}; expected a model of these, got one of "
            f"{', '.join(names[:12])}; give images that it is for"
        )
    seed = _CALIBRATION_SEED if split == "train" else _JUDGING_SEED
    scenes = ShapeSamples(photographs(split), ShapesConfig(width_px=width, height_px=height), seed)
    samples = []
    for number in range(count):
        frame = scenes.frame(number)
        truth = Truth(frame.truth.boxes, frame.truth.labels, frame.truth.ignored)
        samples.append(Sample(f"{split} scene {number}", Image(frame.image, "rgb8"), truth))
    return samples


def image_files(folder: Path) -> list[Path]:
    """Return the JPEG and PNG files in a folder and below, by name.

    Raises:
        ConfigurationError: If it is no folder, or has none.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: expected a folder of images, found none")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS and path.is_file())
    if not found:
        raise ConfigurationError(f"{folder}: expected images ({', '.join(FORMATS)}), found none")
    return found


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most so many items, evenly over all: frames of one video in a row are alike."""
    if len(items) <= count:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, count)]


def read_sample(path: Path, truth: Truth | None = None) -> Sample:
    """Return an image file, not decoded yet but looked at.

    Raises:
        ConfigurationError: If it is missing, too large, or no JPEG or PNG file.
    """
    if not path.is_file():
        raise ConfigurationError(f"expected an image, found nothing at {path}")
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, got {size}")
    image = CompressedImage(np.fromfile(path, np.uint8), FORMATS.get(path.suffix.lower(), ""))
    try:
        compressed.read_head(image)
    except BadImage as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return Sample(str(path), image, truth)
