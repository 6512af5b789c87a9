# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images of one or two rectangles, red or blue, on grey: what any detector learns at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

COLOURS = ((220, 30, 30), (30, 30, 220))


@dataclass(frozen=True, eq=False)
class Rectangles:
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def rectangles(side: int, seed: int) -> Iterator[Rectangles]:
    random = np.random.default_rng(seed)
    for _ in itertools.count():
        image = np.full((side, side, 3), random.integers(90, 170), np.uint8)
        boxes, labels = [], []
        for half in range(int(random.integers(1, 3))):
            width, height = random.integers(side // 6, side // 3, 2)
            x = int(random.integers(half * side // 2, (half + 1) * side // 2 - width + 1))
            y = int(random.integers(0, side - height + 1))
            label = int(random.integers(2))
            image[y : y + height, x : x + width] = COLOURS[label]
            boxes.append((x, y, x + width, y + height))
            labels.append(label)
        yield Rectangles(image, np.array(boxes, np.float32), np.array(labels, np.int64))
