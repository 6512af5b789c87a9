# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detectors that take turns: with the models that ship, and tracks that go on over a change."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("scipy")

sys.path.insert(0, str(Path(__file__).parent))
from spot_detector import spots, write_spot_detector

from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Detections, Image
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.vision.config import DetectorConfig
from lowlat_nodes.vision.detector import Detector
from lowlat_nodes.vision.detector_tiers import DetectorTiers

PLAIN = {"backend": {"kind": "onnxruntime", "threads": 1, "spinning": "never"}}


def tiers(*models: str, **settings: object) -> DetectorTiers:
    """Detectors of models."""
    made = DetectorTiers(
        [Detector(build(DetectorConfig, {**PLAIN, **settings, "model": model})) for model in models]
    )
    made.open()
    return made


def test_the_chosen_one_works_from_the_next_frame_on_with_the_same_tracks(tmp_path: Path) -> None:
    models = [str(write_spot_detector(tmp_path / f"{half}.onnx", half=half)) for half in (False, True)]
    detectors = tiers(*models, **{"tracking.kind": "bytetrack"})
    tracks = []
    for index, model in enumerate((0, 0, 1, 0)):
        detectors.choose(model)
        assert detectors.coming is detectors.detectors[model]
        pixels = spots(64, 64, red=(20 + index, 30))
        frame = Message("image", Image(pixels, "rgb8"), Trace(capture_ns=1 + index * 50_000_000))
        (found,) = detectors.process(frame)
        assert detectors.present is detectors.detectors[model]
        assert detectors.present.stages.model_ns > 0
        assert isinstance(found.payload, Detections)
        assert found.payload.tracks is not None
        tracks.append(found.payload.tracks.tolist())
    assert tracks[1:] == [[1]] * 3  # a track is sure of itself from its second frame on
    detectors.close()


def test_the_models_that_ship_are_dear_and_cheap() -> None:
    detectors = tiers("shapes", "shapes_int8")
    assert detectors.coming.names == detectors.detectors[1].names
    for model in (0, 1):
        detectors.choose(model)
        results = detectors.process(Message("image", Image(np.zeros((240, 320, 3), np.uint8), "rgb8")))
        assert [message.topic for message in results] == ["image/detections"]
    detectors.close()
