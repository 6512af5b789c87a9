# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat replay --processor detector`: recorded images in, the same detections out each time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")

sys.path.insert(0, str(Path(__file__).parents[1] / "vision"))

from spot_detector import spots, write_spot_detector

from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.stream.payload import CompressedImage, Detections, Image
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
START_NS = 1_700_000_000_000_000_000
FRAMES = 12


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return str(write_spot_detector(tmp_path / "spots.onnx"))


def write(path: Path, topic: str = "/camera/image") -> Path:
    """Write frames in which a red spot moves to the right, as images and as PNG files."""
    with BagWriter(path) as writer:
        for number in range(FRAMES):
            pixels = spots(128, 64, red=(10 + 8 * number, 30))
            stamp_ns = START_NS + number * 50_000_000
            raw = cdr.encode(IMAGE, stamp_ns, "optical", Image(pixels, "rgb8"))
            writer.write(topic, IMAGE, stamp_ns + 20_000_000, raw)
            png = CompressedImage(cv2.imencode(".png", pixels[:, :, ::-1])[1].reshape(-1), "png")
            data = cdr.encode(COMPRESSED, stamp_ns, "other", png)
            writer.write("/front/compressed", COMPRESSED, stamp_ns + 25_000_000, data)
    return path


def replay(*arguments: object) -> int:
    return lowlat.main(["replay", *map(str, arguments), "--processor", "detector"])


def detections(path: Path, topic: str) -> list[tuple[int, cdr.Decoded]]:
    with BagReader(path) as results:
        messages = list(results.messages({topic}))
    assert {message.type for message in messages} == {DETECTIONS}
    return [(message.stamp_ns, cdr.decode(message.type, message.data)) for message in messages]


def middles(found: Detections) -> dict[str, float]:
    return {found.names[int(row[5])]: (row[0] + row[2]) / 2 for row in found.rows.tolist()}


def test_every_frame_becomes_detections_with_its_stamp_and_frame(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = write(tmp_path / "bag"), tmp_path / "out.mcap"
    assert replay(bag, "-p", f"model:={model}", "--out", out, "--json") == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert report["outputs"] == {"/detector/camera/detections": FRAMES}
    assert report["topics"]["/front/compressed"]["skipped"] == FRAMES
    assert "runs with onnxruntime, 1 thread, without calibration" in output.err
    for number, (time_ns, decoded) in enumerate(detections(out, "/detector/camera/detections")):
        stamp_ns = START_NS + number * 50_000_000
        assert (decoded.stamp_ns, decoded.frame_id, time_ns) == (stamp_ns, "optical", stamp_ns + 20_000_000)
        assert middles(decoded.payload) == {"red": pytest.approx(10 + 8 * number, abs=12)}


def test_twice_gives_the_same_bytes(model: str, tmp_path: Path) -> None:
    bag = write(tmp_path / "bag")
    for name in ("a.mcap", "b.mcap"):
        assert replay(bag, "-p", f"model:={model}", "--out", tmp_path / name) == 0
    assert (tmp_path / "a.mcap").read_bytes() == (tmp_path / "b.mcap").read_bytes()
    assert replay(bag, "-p", f"model:={model}", "--check", tmp_path / "a.mcap") == 0


def test_a_parameter_file_names_the_cameras(model: str, tmp_path: Path) -> None:
    parameters = tmp_path / "robot.yaml"
    parameters.write_text(
        "detector_node:\n  ros__parameters:\n"
        f"    model: {model}\n    threshold: 0.5\n    deadline_ms: 100.0\n"
        "    camera:\n"
        "      left: {topic: camera/image, reliability: best_effort}\n"
        "      front: {topic: /front/compressed, compressed: true}\n"
    )
    bag, out = write(tmp_path / "bag"), tmp_path / "out.mcap"
    assert replay(bag, "--params", parameters, "--out", out) == 0
    left = detections(out, "/detector/left/detections")
    front = detections(out, "/detector/front/detections")
    assert len(left) == len(front) == FRAMES
    for (_, one), (_, other) in zip(left, front, strict=True):
        assert np.array_equal(one.payload.rows, other.payload.rows)
    assert front[0][1].frame_id == "other"


def test_another_topic_is_mapped_to_the_camera(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write(tmp_path / "bag", topic="/realsense/color/image_raw")
    assert replay(bag, "-p", f"model:={model}") == 0
    assert "no topic of the bag feeds the input 'camera/image'" in capsys.readouterr().err
    remap = "/realsense/color/image_raw:=camera/image"
    assert replay(bag, "-p", f"model:={model}", "--remap", remap, "--json") == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == {"/detector/camera/detections": FRAMES}


def test_a_bad_image_is_counted_and_the_others_are_detected(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = tmp_path / "bag"
    with BagWriter(bag) as writer:
        for number, encoding in enumerate(("rgb8", "8UC3", "rgb8")):
            stamp_ns = START_NS + number * 50_000_000
            data = cdr.encode(IMAGE, stamp_ns, "", Image(spots(64, 64, blue=(20, 20)), encoding))
            writer.write("/camera/image", IMAGE, stamp_ns, data)
    assert replay(bag, "-p", f"model:={model}", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["outputs"] == {"/detector/camera/detections": 2}
    assert report["failures"] == {"process: BadImage": 1}


def test_a_model_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write(tmp_path / "bag")
    assert replay(bag, "-p", "model:=nowhere.onnx") == 2
    assert "nowhere.onnx" in capsys.readouterr().err
