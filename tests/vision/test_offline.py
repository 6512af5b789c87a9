# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The detector over recorded frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from spot_detector import spots

from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.resources import ResourceError, cache_folder
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image, Text
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.vision.offline import OfflineDetector, make_detector, untimed

PIXELS = spots(64, 64, red=(20, 30), green=(40, 50))


@pytest.fixture
def made(spot_model: Path) -> Iterator[Any]:
    """Make opened detectors of spots; all are closed at the end."""
    opened: list[OfflineDetector] = []

    def make(**values: Any) -> OfflineDetector:
        flat = {name.replace("__", "."): value for name, value in values.items()}
        detector = make_detector({"model": str(spot_model), **flat})
        opened.append(detector)
        detector.open()
        return detector

    yield make
    for detector in opened:
        detector.close()


def frame(topic: str) -> Message:
    return Message(topic, Image(PIXELS, "rgb8"), Trace(capture_ns=5, received_ns=7), 3, "optical")


def test_inputs_are_topics_and_outputs_those_of_the_node(made: Any) -> None:
    detector = made(camera__left__topic="left/image", camera__right__topic="right/image")
    assert detector.inputs == ("left/image", "right/image")
    assert detector.outputs == ("~/left/detections", "~/right/detections")
    (result,) = detector.process(frame("right/image"))
    assert result.topic == "~/right/detections"
    assert (result.frame_id, result.sequence, result.trace.capture_ns) == ("optical", 3, 5)
    assert len(result.payload.rows) == 2


def test_without_cameras_the_topic_is_image(made: Any) -> None:
    detector = made()
    assert (detector.inputs, detector.outputs) == (("image",), ("~/detections",))
    assert [result.topic for result in detector.process(frame("image"))] == ["~/detections"]


def test_two_cameras_of_one_topic_both_get_its_frames(made: Any) -> None:
    detector = made(camera__a__topic="image", camera__b__topic="image")
    assert detector.inputs == ("image",)
    assert [result.topic for result in detector.process(frame("image"))] == [
        "~/a/detections",
        "~/b/detections",
    ]


@pytest.mark.tracking
def test_things_keep_their_number_over_frames_for_each_camera(made: Any) -> None:
    detector = made(
        camera__a__topic="image", camera__b__topic="image", tracking__kind="bytetrack", threshold=0.3
    )
    for number in range(3):
        message = frame("image")
        message.trace.capture_ns = 50_000_000 * (number + 1)
        results = detector.process(message)
    tracks = [result.payload.tracks.tolist() for result in results]
    assert [len(each) for each in tracks] == [2, 2]
    assert all(track >= 0 for each in tracks for track in each)


def test_nothing_is_timed_and_nothing_is_kept(made: Any) -> None:
    made()
    assert not cache_folder().exists()


def test_what_is_no_image_is_refused(made: Any) -> None:
    with pytest.raises(BadImage, match="image: expected Image or CompressedImage, got Text"):
        made().process(Message("image", Text("a cat")))


def test_parameters_of_a_running_node_are_left_out_and_a_typo_is_refused(made: Any) -> None:
    made(deadline_ms=500.0, autostart=True, zmq__endpoint="tcp://127.0.0.1:5557", camera__a__topic="image")
    with pytest.raises(ConfigurationError, match="did you mean 'threshold'"):
        make_detector({"treshold": 0.5})
    with pytest.raises(ResourceError, match=r"no model 'nowhere' comes with lowlat_nodes\. These do"):
        make_detector({"model": "nowhere"})


@pytest.mark.parametrize(
    ("given", "file", "expected"),
    [
        ({}, "a.onnx", ("onnxruntime", "cpu", 1, "never", "fp32")),
        ({}, "a.xml", ("openvino", "cpu", 1, "never", "fp32")),
        ({}, "a.pt", ("torch", "cpu", 1, "never", "fp32")),
        ({"kind": "openvino"}, "a.onnx", ("openvino", "cpu", 1, "never", "fp32")),
        ({"threads": 4, "provider": "cuda"}, "a.onnx", ("onnxruntime", "cuda", 4, "never", "fp32")),
        ({"kind": "openvino", "precision": "bf16"}, "a.onnx", ("openvino", "cpu", 1, "never", "bf16")),
        ({"precision": "auto", "spinning": "always"}, "a.onnx", ("onnxruntime", "cpu", 1, "always", "fp32")),
    ],
)
def test_only_what_the_user_left_open_is_chosen(
    given: dict[str, Any], file: str, expected: tuple[Any, ...]
) -> None:
    chosen = untimed(BackendSettings(**given), Path(file))
    assert (chosen.kind, chosen.provider, chosen.threads, chosen.spinning, chosen.precision) == expected
