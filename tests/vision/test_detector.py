# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The detector as a processor: from frames of any kind to boxes in their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")

from spot_detector import NAMES, spots, write_spot_detector

from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import CompressedImage, Detections, Image
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.vision.config import DetectorConfig
from lowlat_nodes.vision.detector import Detector

ONE_WAY = {"backend.kind": "onnxruntime", "backend.threads": 1, "backend.spinning": "never"}


@pytest.fixture
def made(spot_model: Path) -> Iterator[Any]:
    """Make detectors of spots; all are closed at the end."""
    opened: list[Detector] = []

    def make(*cameras: str, **values: Any) -> Detector:
        flat = {"model": str(spot_model), **ONE_WAY, **values}
        detector = Detector(build(DetectorConfig, flat), cameras or ("image",))
        opened.append(detector)
        detector.open()
        return detector

    yield make
    for detector in opened:
        detector.close()


def found(detections: Detections) -> dict[str, tuple[float, float]]:
    """Return the middle of each box by the name of its class."""
    return {
        detections.names[int(row[5])]: ((row[0] + row[2]) / 2, (row[1] + row[3]) / 2)
        for row in detections.rows.tolist()
    }


def test_boxes_are_in_pixels_of_the_source(made: Any) -> None:
    image = spots(640, 480, red=(100, 60), green=(500, 300), blue=(320, 440))
    middles = found(made().detect(Image(image, "rgb8")))
    for name, place in (("red", (100, 60)), ("green", (500, 300)), ("blue", (320, 440))):
        assert np.allclose(middles[name], place, atol=10.0)  # a pixel of the network is ten of these


@pytest.mark.parametrize("backend", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.openvino)])
def test_a_graph_of_float16_says_the_same(made: Any, tmp_path: Path, backend: str) -> None:
    image = Image(spots(64, 64, red=(20, 20), green=(40, 50)), "rgb8")
    model = str(write_spot_detector(tmp_path / "half.onnx", half=True))
    assert found(made(**{"model": model, "backend.kind": backend}).detect(image)) == found(
        made().detect(image)
    )


def test_bgr_and_rgb_say_the_same(made: Any) -> None:
    detector = made()
    image = spots(200, 100, red=(50, 50))
    rows = detector.detect(Image(image, "rgb8")).rows
    assert np.array_equal(rows, detector.detect(Image(image[:, :, ::-1], "bgr8")).rows)


def test_a_jpeg_says_nearly_the_same(made: Any) -> None:
    image = spots(128, 96, red=(20, 12), green=(100, 60), blue=(64, 88))
    data = cv2.imencode(".jpg", image[:, :, ::-1])[1].reshape(-1)
    detector = made()
    raw = found(detector.detect(Image(image, "rgb8")))
    decoded = found(detector.detect(CompressedImage(data, "jpeg")))
    for name, middle in raw.items():
        assert np.allclose(decoded[name], middle, atol=8.0)


def test_threshold_classes_and_number_are_taken_over_while_it_runs(made: Any) -> None:
    detector = made()
    image = Image(spots(64, 64, red=(20, 20), green=(40, 40)), "rgb8")
    assert set(found(detector.detect(image))) == {"red", "green"}
    base = {"model": "unused.onnx"}
    detector.report_on(build(DetectorConfig, {**base, "classes": ["green"]}))
    assert set(found(detector.detect(image))) == {"green"}
    detector.report_on(build(DetectorConfig, {**base, "max_detections": 1}))
    assert len(detector.detect(image).rows) == 1
    detector.report_on(build(DetectorConfig, {**base, "threshold": 0.0}))
    assert set(found(detector.detect(image))) == set(NAMES)


def test_a_class_that_the_model_does_not_have_is_refused_with_the_nearest(made: Any) -> None:
    with pytest.raises(ConfigurationError, match="no class 'gren'; did you mean 'green'"):
        made(classes=["gren"])


def test_classes_of_one_name_are_wanted_together(made: Any) -> None:
    values = {"layout.names": ["spot", "spot", "blue"], "classes": ["spot"]}
    image = spots(64, 64, red=(20, 20), green=(40, 40), blue=(20, 50))
    assert {int(row[5]) for row in made(**values).detect(Image(image, "rgb8")).rows} == {0, 1}


def test_classes_may_be_called_by_their_numbers(made: Any) -> None:
    detector = made(class_id="number", classes=["green"])
    detections = detector.detect(Image(spots(64, 64, green=(40, 40)), "rgb8"))
    assert set(found(detections)) == {"1"}
    assert detector.names == NAMES


def test_each_camera_has_its_own_results_with_stamp_and_frame(made: Any) -> None:
    detector = made("left", "right")
    detector.wanted = lambda stream: stream == "right/markers"
    frame = Message("right", Image(spots(64, 64, red=(20, 20)), "rgb8"), Trace(123, 456), 7, "right_optical")
    results = list(detector.process(frame))
    assert [result.topic for result in results] == ["right/detections", "right/markers"]
    assert {result.topic for result in results} < set(detector.outputs)
    for result in results:
        assert (result.trace.capture_ns, result.sequence, result.frame_id) == (123, 7, "right_optical")


def test_a_drawing_is_made_only_while_somebody_looks(made: Any) -> None:
    detector = made()
    pixels = spots(64, 64, red=(20, 20))
    frame = Message("image", Image(pixels[:, :, ::-1], "bgr8"))
    detector.wanted = lambda stream: stream == "image/debug_image"
    *_, drawn = detector.process(frame)
    assert drawn.topic == "image/debug_image"
    assert drawn.payload.encoding == "rgb8"
    assert drawn.payload.data.shape == pixels.shape
    assert not np.array_equal(drawn.payload.data, pixels)
    assert np.array_equal(pixels, spots(64, 64, red=(20, 20)))


def test_detections_do_not_wait_for_the_drawing(made: Any) -> None:
    detector, asked = made(), list[str]()
    detector.wanted = lambda stream: bool(asked.append(stream))
    results = detector.process(Message("image", Image(spots(64, 64, red=(20, 20)), "rgb8")))
    assert len(next(results).payload.rows) == 1
    assert asked == []
    assert list(results) == []
    assert asked == ["image/markers", "image/debug_image"]


def test_a_frame_that_cannot_be_read_says_why_and_the_next_one_is_detected(made: Any) -> None:
    detector = made()
    with pytest.raises(BadImage, match="32FC1"):
        detector.detect(Image(np.zeros((8, 8), np.float32), "32FC1"))
    with pytest.raises(BadImage):
        detector.detect(CompressedImage(np.zeros(100, np.uint8), "jpeg"))
    assert len(detector.detect(Image(spots(64, 64, red=(20, 20)), "rgb8")).rows)


def test_larger_images_than_allowed_are_refused(made: Any) -> None:
    detector = made(max_pixels=1000)
    with pytest.raises(BadImage, match="1000"):
        detector.detect(Image(spots(64, 64, red=(20, 20)), "rgb8"))


def test_what_took_how_long_is_known(made: Any) -> None:
    detector = made()
    detector.detect(Image(spots(64, 64, red=(20, 20)), "rgb8"))
    assert min(detector.stages.prepare_ns, detector.stages.model_ns, detector.stages.decode_ns) > 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "nothing at|no such|expected"), (b"this is no graph", "not a model"), (b"", "not a model|empty")],
)
def test_a_missing_or_broken_file_is_refused(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    detector = Detector(build(DetectorConfig, {"model": str(path)}))
    with pytest.raises(ConfigurationError, match=expected):
        detector.open()


def test_a_model_that_is_no_detector_is_refused(tmp_path: Path) -> None:
    detector = Detector(build(DetectorConfig, {"model": "reach_flow"}))
    with pytest.raises(ConfigurationError, match="expected"):
        detector.open()
    detector.close()


@pytest.mark.tracking
def test_things_keep_their_numbers_for_each_camera_on_its_own(made: Any) -> None:
    detector = made("left", "right", **{"tracking.kind": "bytetrack"})
    seen: dict[str, list[Any]] = {"left": [], "right": []}
    for frame in range(6):
        for camera, colours in (("left", ("red", "green")), ("right", ("green",))):
            pixels = spots(64, 64, **{name: (20 + frame, 20 * (n + 1)) for n, name in enumerate(colours)})
            trace = Trace((frame + 1) * 33_000_000)
            found = next(detector.process(Message(camera, Image(pixels, "rgb8"), trace))).payload
            seen[camera].append(
                {int(row[5]): track for row, track in zip(found.rows, found.tracks, strict=True)}
            )
    assert [set(each.values()) for each in seen["left"]] == [{-1}, *[{1, 2}] * 5]
    assert all(each == seen["left"][1] for each in seen["left"][1:])
    assert [list(each.values()) for each in seen["right"]] == [[-1], *[[1]] * 5]


@pytest.mark.tracking
def test_what_is_too_faint_to_be_reported_keeps_its_track(made: Any) -> None:
    detector = made(**{"tracking.kind": "bytetrack", "tracking.buffer_ms": 100.0, "max_detections": 1})
    tracks = []
    for frame in range(20):
        pixels = spots(64, 64, red=(20, 20))
        if 5 <= frame < 15:
            pixels //= 6  # of a score of 0.165
        trace = Trace(0, (frame + 1) * 33_000_000)  # a camera without stamps
        tracks.append(
            next(detector.process(Message("image", Image(pixels, "rgb8"), trace))).payload.tracks.tolist()
        )
    assert tracks == [[-1], *[[1]] * 4, *[[]] * 10, *[[1]] * 5]
    assert detector.stages.track_ns > 0


def test_nothing_is_tracked_unless_asked_for(made: Any) -> None:
    frame = Message("image", Image(spots(64, 64, red=(20, 20)), "rgb8"), Trace(1))
    assert next(made().process(frame)).payload.tracks is None


class Told:
    """A bound with one limit for each camera, which keeps what it was told."""

    def __init__(self, **limits: float) -> None:
        self.limits = limits
        self.calls: list[tuple[str, float, bool]] = []

    def limit(self, source: str, bucket: str = "") -> float:  # noqa: ARG002 (the interface)
        return self.limits[source]

    def note(self, cost: float, *, cut: bool, source: str, bucket: str = "") -> None:  # noqa: ARG002
        self.calls.append((source, cost, cut))


def test_a_frame_with_too_many_boxes_has_the_best_ones(spot_model: Path) -> None:
    bound = Told(narrow=2.0, wide=100.0, refused=0.0)
    config = build(DetectorConfig, {"model": str(spot_model), **ONE_WAY, "threshold": 0.5})
    detector = Detector(config, ("narrow", "wide", "refused"), bound=bound)
    detector.open()
    image = spots(64, 64, red=(10, 10), green=(30, 30), blue=(50, 50))
    image[50, 50, 2] = 255
    image[:, :, 1] = image[:, :, 1] // 4 * 3  # green is the weakest
    try:
        for camera, names in (("narrow", {"red", "blue"}), ("wide", {"red", "green", "blue"})):
            (result,) = detector.process(Message(camera, Image(image, "rgb8"), Trace(received_ns=1)))
            assert set(found(result.payload)) == names
            assert detector.stages.candidates == 3
            assert detector.stages.cut == 3 - len(names)
        assert list(detector.process(Message("refused", Image(image, "rgb8"), Trace(received_ns=2)))) == []
    finally:
        detector.close()
    assert bound.calls == [("narrow", 3, True), ("wide", 3, False)]
