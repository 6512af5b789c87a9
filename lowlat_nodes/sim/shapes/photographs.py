# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Photographs to put behind rendered shapes: those that scikit-image's wheel brings, split by source."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

Pixels = NDArray[np.uint8]
"""An image, uint8 [height, width, 3], rgb."""

TRAIN: Final = (
    "astronaut.png",
    "brick.png",
    "cell.png",
    "clock_motion.png",
    "grass.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "text.png",
)
TEST: Final = ("camera.png", "chelsea.png", "coffee.png", "gravel.png", "rocket.jpg")
"""Never trained on: a man with a camera, a cat, a cup, gravel, a rocket.

In neither: `coins.png` and `horse.png`, which show discs and a silhouette, and the right half of the stereo
pair of which the left one is trained on.
"""


def photographs(split: str) -> list[Pixels]:
    """Return the photographs of a split, `train` or `test`; grey ones as rgb.

    Raises MissingExtra without scikit-image, and ConfigurationError if its wheel lacks one of them.
    """
    names = {"train": TRAIN, "test": TEST}.get(split)
    if names is None:
        raise ConfigurationError(f"expected the split train or test, got {split!r}")
    try:
        import skimage
        from skimage.io import imread
    except ImportError as error:
        raise MissingExtra("skimage", "train") from error
    folder = Path(skimage.__file__).parent / "data"
    found = []
    for name in names:
        # By path, because skimage.data would look for a missing one on the network.
        if not (folder / name).is_file():
            raise ConfigurationError(
                f"{folder}: expected the photograph {name}, as in the wheels of scikit-image 0.22 to 0.26, "
                f"found none; install it again with: pip install --force-reinstall scikit-image"
            )
        pixels = np.asarray(imread(folder / name), dtype=np.uint8)
        found.append(np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels[:, :, :3])
    return found
