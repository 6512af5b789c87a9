# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How well an exported detector finds what is in labelled images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.sim.shapes import Frame
from lowlat_nodes.vision.average_precision import AveragePrecision, Precision
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.placement import Placement

THRESHOLD = 0.001  # of scores; what is less sure hardly moves the average precision
LIMIT = 300


def validate(path: Path, frames: Iterable[Frame], *, threads: int = 1) -> Precision:
    """Judge a model by frames of the size of its input; it is fed and read as its layout says.

    Raises ConfigurationError for a file that is no detector, or frames of another size.
    """
    model = OnnxModel(path, threads=threads)
    layout = recognise(model.inputs, model.outputs, model.metadata)
    judge = AveragePrecision(layout.names)
    image = layout.image
    mean, std = (np.array(values, np.float32) for values in (image.mean, image.std))
    placement = Placement.stretch(image.width, image.height, image.width, image.height)
    for frame in frames:
        pixels = (frame.image.astype(np.float32) - mean) / std
        feed = {image.name: pixels.transpose(2, 0, 1)[None], **layout.feed}
        rows = layout.decode(model.run(feed, layout.outputs), placement, THRESHOLD, LIMIT)
        judge.add(rows, frame.truth.boxes, frame.truth.labels, frame.truth.ignored)
    return judge.result()
