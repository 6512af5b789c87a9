# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector whose model takes turns at a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from spot_detector import spots

from lowlat_nodes.inference.segments.sharing import Sharing
from lowlat_nodes.inference.turn import Unshared
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.vision.config import DetectorConfig
from lowlat_nodes.vision.detector import Detector

ONE_WAY = {"backend.kind": "onnxruntime", "backend.threads": 1, "backend.spinning": "never"}


class Counting(Unshared):
    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.gaps = 0
        self.inside = False

    @contextmanager
    def job(self, bucket: str = "") -> Iterator[None]:
        self.jobs.append(bucket)
        self.inside = True
        yield
        self.inside = False

    def between(self) -> None:
        assert self.inside
        self.gaps += 1


def test_each_frame_is_a_job_and_the_model_alone_is_in_it(spot_model: Path) -> None:
    turn = Counting()
    config = build(DetectorConfig, {"model": str(spot_model), **ONE_WAY})
    shared, alone = Detector(config, sharing=Sharing(turn)), Detector(config)
    for detector in (shared, alone):
        detector.open()
    warm_ups = len(turn.jobs)
    assert warm_ups == len(list(Sharing(turn).warm_ups()))
    assert set(turn.jobs) == {"spots 64x64"}
    frame = Image(spots(64, 64, red=(20, 30), green=(40, 50)), "rgb8")
    expected, got = alone.detect(frame), shared.detect(frame)
    np.testing.assert_array_equal(got.rows, expected.rows)
    for message in shared.process(Message("image", frame)):
        assert not turn.inside, message.topic
    assert len(turn.jobs) == warm_ups + 2
    assert shared.stages.model_ns > 0
    assert turn.gaps == 0


def test_a_detector_that_ships_gives_way_within_a_frame_and_sees_the_same() -> None:
    turn = Counting()
    config = build(DetectorConfig, {**ONE_WAY, "threshold": 0.0})
    shared, alone = Detector(config, sharing=Sharing(turn, 1.0)), Detector(config)
    for detector in (shared, alone):
        detector.open()
    assert shared.loaded.cut is not None
    parts = len(shared.loaded.cut.times_ns)
    assert parts > 1
    assert "parts" in shared.loaded.as_text()
    random = np.random.default_rng(1)
    for _ in range(3):
        frame = Image(random.integers(0, 256, (240, 320, 3), np.uint8), "rgb8")
        turn.gaps = 0
        got, expected = shared.detect(frame), alone.detect(frame)
        assert turn.gaps == parts - 1
        np.testing.assert_array_equal(got.rows, expected.rows)
