# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture of what a detector is trained and judged on, for the documentation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes import NAMES, Frame, ShapeSamples, ShapesConfig, ShapeStream
from lowlat_nodes.sim.shapes.dead_leaves import dead_leaves
from lowlat_nodes.sim.shapes.photographs import photographs

_COLUMNS: Final = 4
_GAP_PX: Final = 4
_STEP_NS: Final = 400_000_000
_BOX_RGB: Final = (80, 255, 80)
_IGNORED_RGB: Final = (255, 80, 80)
_QUALITY: Final = 82


def draw(seed: int) -> NDArray[Any]:
    """Return two rows of training samples above one of a stream on a photograph kept for tests, rgb."""
    backgrounds = photographs("train") + dead_leaves(4, seed)
    samples = ShapeSamples(backgrounds, ShapesConfig(recolour=True), seed)
    stream = ShapeStream(photographs("test"), ShapesConfig(shapes=(7, 9)), seed)
    frames = [samples.frame(number) for number in range(2 * _COLUMNS)]
    frames += [stream.frame(number * _STEP_NS) for number in range(_COLUMNS)]
    tiles = [_boxed(frame) for frame in frames]
    padded = [
        cv2.copyMakeBorder(tile, 0, _GAP_PX, 0, _GAP_PX, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        for tile in tiles
    ]
    rows = [np.hstack(padded[at : at + _COLUMNS]) for at in range(0, len(padded), _COLUMNS)]
    return np.vstack(rows)[:-_GAP_PX, :-_GAP_PX]


def _boxed(frame: Frame) -> NDArray[Any]:
    image: NDArray[Any] = frame.image.copy()
    for box in frame.truth.ignored:
        _rectangle(image, box, _IGNORED_RGB)
    for box, label in zip(frame.truth.boxes, frame.truth.labels, strict=True):
        left, top, _, bottom = _rectangle(image, box, _BOX_RGB)
        baseline = top - 3 if top > 12 else min(bottom + 11, image.shape[0] - 2)
        cv2.putText(image, NAMES[label], (left, baseline), 0, 0.33, _BOX_RGB, 1, cv2.LINE_AA)
    return image


def _rectangle(image: NDArray[Any], box: NDArray[np.float32], rgb: tuple[int, int, int]) -> list[int]:
    """Draw a frame around a box, outside it, so that it hides nothing of a small shape; return its edges."""
    left, top = (np.floor(box[:2]).astype(int) - 1).tolist()
    right, bottom = np.ceil(box[2:]).astype(int).tolist()
    cv2.rectangle(image, (left, top), (right, bottom), rgb, 1)
    return [max(left, 0), top, right, bottom]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the picture as JPEG."""
    parser = argparse.ArgumentParser(
        prog="python -m lowlat_nodes.train.shapes_sheet", description=main.__doc__
    )
    parser.add_argument("path", type=Path, nargs="?", default=Path("docs/images/shapes.jpg"))
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args(argv)
    image = cv2.cvtColor(draw(options.seed), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        print("OpenCV could not write JPEG; install opencv-python-headless again", file=sys.stderr)
        return 1
    options.path.write_bytes(data.tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
