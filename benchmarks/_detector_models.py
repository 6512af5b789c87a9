# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The models and frames that the benchmark of the detector shows and runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes import resources
from lowlat_nodes.sim.shapes import NAMES, Frame, ShapeSamples, ShapesConfig, ShapeStream
from lowlat_nodes.sim.shapes.photographs import photographs
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.vision.average_precision import AveragePrecision, Precision
from lowlat_nodes.vision.config import DetectorConfig
from lowlat_nodes.vision.detector import Detector

SIDE_PX = 320
_UNSEEN = 1_000_000  # the seed of scenes that the shipped model was not trained on
_THRESHOLD = 0.001
_DIFFERENT = 4  # frames, so that no cache holds the next one


def write_large(path: Path, side_px: int) -> Path:
    """Write the shipped model, YOLOv10-N, for images of another size; return the path."""
    from lowlat_nodes.train.yolov10.export import resize_onnx

    resize_onnx(resources.model("shapes"), path, side_px, side_px)
    return path


def save_frames(path: Path, width: int, height: int) -> Path:
    """Save a few different frames of a size for a camera; return the path."""
    stream = ShapeStream(photographs("test"), ShapesConfig(width_px=width, height_px=height, scale=2.0))
    frames = np.stack([stream.frame(number * 100_000_000).image for number in range(_DIFFERENT)])
    np.save(path, frames, allow_pickle=False)
    return path


def moving_shapes(seed: int) -> ShapeStream:
    """Return a stream of 640x480 frames on unseen photographs; shapes are 8 to 160 px in the network."""
    config = ShapesConfig(width_px=2 * SIDE_PX, height_px=480, scale=2.0)
    return ShapeStream(photographs("test"), config, _UNSEEN + seed)


def unseen(count: int) -> Iterator[Frame]:
    """Yield independent scenes of the size of the network on unseen photographs."""
    samples = ShapeSamples(photographs("test"), ShapesConfig(), _UNSEEN)
    return map(samples.frame, range(count))


def judge(detector: Detector, count: int) -> Precision:
    """Return the precision of a detector on unseen scenes."""
    judged = AveragePrecision(NAMES)
    for frame in unseen(count):
        rows = detector.detect(Image(frame.image, "rgb8")).rows
        judged.add(rows, frame.boxes, frame.labels, frame.truth.ignored)
    return judged.result()


def shape_images(count: int) -> list[Image]:
    """Return images of a stream."""
    stream = moving_shapes(0)
    return [Image(stream.frame(number * 33_000_000).image, "rgb8") for number in range(count)]


@contextmanager
def detectors(**models: dict[str, Any]) -> Iterator[dict[str, Detector]]:
    """Open detectors by their parameters, and close them."""
    with ExitStack() as stack:
        opened = {}
        for name, parameters in models.items():
            wanted = {"threshold": _THRESHOLD, "max_detections": 300, "backend.calibration.cache": False}
            wanted |= parameters
            detector = Detector(build(DetectorConfig, wanted))
            stack.callback(detector.close)
            detector.open()
            opened[name] = detector
        yield opened
