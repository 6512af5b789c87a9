# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated camera as others on ROS see it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from pages import counted
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from lowlat_nodes import resources
from lowlat_nodes.nodes.detector_config import DetectorNodeConfig
from lowlat_nodes.nodes.detector_node import DetectorNode
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.nodes.parameter_file import parameters_of, read
from lowlat_nodes.nodes.shapes_camera_node import ShapesCameraNode, ShapesCameraSettings
from lowlat_nodes.sim.shapes import ShapesConfig, ShapeStream
from lowlat_nodes.sim.shapes.camera import ShapesCamera, as_detections, backgrounds
from lowlat_nodes.stream.config import build

pytestmark = pytest.mark.ros

RATE_HZ = 10.0  # slow and small: a busy machine must keep up
WIDTH, HEIGHT = 96, 64
SHAPES = 3


def make(robot: Any, **values: Any) -> ShapesCameraNode:
    flat = {
        "rate_hz": RATE_HZ,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "scale": 1.0,
        "shapes": SHAPES,
        "backgrounds": "drawn",
        "diagnostic_updater.period": 0.1,
    } | values
    overrides = [Parameter(name, value=value) for name, value in flat.items()]
    node: ShapesCameraNode = robot.add(ShapesCameraNode(overrides=overrides))
    return node


def stream(seed: int = 0) -> ShapeStream:
    config = ShapesConfig(width_px=WIDTH, height_px=HEIGHT, scale=1.0, shapes=(SHAPES, SHAPES))
    return ShapeStream(backgrounds("drawn", seed), config, seed)


def stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def pixels(message: Image) -> bytes:
    return np.frombuffer(message.data, np.uint8).tobytes()


def boxes(message: Detection2DArray) -> np.ndarray:
    found = [each.bbox for each in message.detections]
    rows = [(box.center.position.x, box.center.position.y, box.size_x, box.size_y) for box in found]
    x, y, width, height = np.array(rows).reshape(-1, 4).T
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)


def numbers(images: list[Image], shown: ShapeStream) -> list[int]:
    """Return which frames of a stream these are, by their bytes."""
    camera = ShapesCamera(shown, RATE_HZ)
    known: dict[bytes, int] = {}
    found = []
    for image in images:
        while pixels(image) not in known:
            assert len(known) < 600, "an image is no frame of the stream"
            taken = camera.take(len(known))[0]
            known[taken.data.tobytes()] = len(known)
        found.append(known[pixels(image)])
    return found


def test_images_are_frames_of_the_stream_at_stamps_a_period_apart(robot: Any) -> None:
    images = robot.listen(Image, "camera/image")
    assert make(robot, seed=3).start()
    robot.spin_until(lambda: len(images) >= 5)
    first = images[0]
    assert (first.width, first.height, first.encoding, first.step) == (WIDTH, HEIGHT, "rgb8", 3 * WIDTH)
    assert first.header.frame_id == "camera"
    frames = numbers(images, stream(seed=3))
    assert frames == sorted(set(frames))
    apart = np.diff([stamp_ns(image) for image in images]) / 1e9 * RATE_HZ
    # A busy machine may take long between the readings of the two clocks, now and then.
    assert np.median(np.abs(apart - np.diff(frames))) < 0.2


def test_each_image_counts_for_the_energy_sampler(
    robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path))
    node = make(robot)
    assert node.start(), node.problem
    images = robot.listen(Image, "/camera/image")
    robot.spin_until(lambda: len(images) > 2)
    [(started, finished)] = counted(tmp_path, "/shapes_camera_node").values()
    assert started >= finished >= len(images)


def test_the_truth_has_the_stamp_of_its_image_and_what_is_in_it(robot: Any) -> None:
    images = robot.listen(Image, "camera/image")
    truths = robot.listen(Detection2DArray, "/shapes_camera_node/truth")
    assert make(robot).start()

    def both() -> list[tuple[Image, Detection2DArray]]:
        told = {stamp_ns(truth): truth for truth in truths}
        return [(image, told[stamp_ns(image)]) for image in images if stamp_ns(image) in told]

    robot.spin_until(lambda: len(both()) >= 3)
    pairs = both()
    shown = stream()
    for number, (image, truth) in zip(numbers([image for image, _ in pairs], shown), pairs, strict=True):
        expected = as_detections(shown.truth(round(number / RATE_HZ * 1e9)))
        assert truth.header == image.header
        assert np.allclose(boxes(truth), expected.rows[:, :4], atol=1e-3)
        best = [each.results[0].hypothesis for each in truth.detections]
        assert [each.class_id for each in best] == [expected.names[int(n)] for n in expected.rows[:, 5]]
        assert all(each.score == 1.0 for each in best)
        assert [each.id for each in truth.detections] == list(map(str, expected.tracks))


def test_two_runs_with_one_seed_show_the_same(robot: Any) -> None:
    images = robot.listen(Image, "camera/image")
    node = make(robot, seed=5)
    assert node.start()
    robot.spin_until(lambda: len(images) >= 3)
    node.trigger_deactivate()
    node.trigger_cleanup()
    robot.spin_until(lambda: robot.outside.count_publishers("camera/image") == 0)
    once = numbers(images, stream(seed=5))
    images.clear()
    assert node.start()
    robot.spin_until(lambda: len(images) >= 3)
    assert once
    assert numbers(images, stream(seed=5))
    with pytest.raises(AssertionError, match="no frame of the stream"):
        numbers(images[:1], stream(seed=6))


def test_jpeg_files_take_the_place_of_images(robot: Any) -> None:
    files = robot.listen(CompressedImage, "camera/image/compressed")
    truths = robot.listen(Detection2DArray, "/shapes_camera_node/truth")
    assert make(robot, compressed=True).start()
    robot.spin_until(lambda: set(map(stamp_ns, files)) & set(map(stamp_ns, truths)))
    assert files[0].format == "rgb8; jpeg compressed bgr8"
    assert bytes(files[0].data[:2]) == b"\xff\xd8"
    assert robot.outside.count_publishers("camera/image") == 0


def test_diagnostics_say_that_it_is_simulated(robot: Any) -> None:
    told: list[DiagnosticArray] = robot.listen(DiagnosticArray, "/diagnostics")
    assert make(robot).start()

    def values() -> dict[str, str]:
        return {item.key: item.value for item in told[-1].status[0].values} if told else {}

    robot.spin_until(lambda: float(values().get("rate_out_hz", 0)) > 0)
    assert values()["simulated"] == "true"
    assert values()["backgrounds"] == "drawn"
    robot.spin_until(lambda: float(values()["render_p50_ms"]) > 0)


def test_frames_that_cannot_be_rendered_in_time_are_left_out_and_counted(
    robot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = ShapesCamera.take

    def slow(camera: ShapesCamera, number: int) -> Any:
        time.sleep(0.25)
        return take(camera, number)

    monkeypatch.setattr(ShapesCamera, "take", slow)
    images = robot.listen(Image, "camera/image")
    node = make(robot)
    assert node.start()
    robot.spin_until(lambda: len(images) >= 3)
    apart = np.diff([stamp_ns(image) for image in images]) / 1e9 * RATE_HZ
    assert np.median(apart) > 1.8  # what is shown keeps real time
    robot.spin_until(lambda: int(node.report().values["drops.skipped"]) > 0)


def test_a_frame_that_fails_is_reported_and_the_next_one_is_shown(
    robot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = ShapesCamera.take

    def broken(camera: ShapesCamera, number: int) -> Any:
        if number < 3:
            raise RuntimeError("no film")
        return take(camera, number)

    monkeypatch.setattr(ShapesCamera, "take", broken)
    images = robot.listen(Image, "camera/image")
    node = make(robot, **{"diagnostic_updater.period": 60.0})
    assert node.start()
    robot.spin_until(lambda: images)
    report = node.report()
    assert report.level is Level.WARN
    assert "RuntimeError: no film" in report.summary
    assert 1 <= int(report.values["failures"]) <= 3


def test_a_size_that_shapes_do_not_fit_into_is_refused(robot: Any) -> None:
    node = make(robot, width_px=4)
    assert not node.start()
    assert "width_px" in node.problem


def test_the_demo_shows_to_the_detector_what_the_camera_takes() -> None:
    sections = read(resources.path("config", "detector_demo.yaml"))
    camera = build(ShapesCameraSettings, parameters_of("/shapes_camera_node", sections))
    detector = build(DetectorNodeConfig, parameters_of("/detector_node", sections))
    assert [seen.topic for seen in detector.cameras().values()] == ["camera/image"]
    assert not camera.compressed
    side_px = 320  # of the shipped detector
    assert camera.scale == max(camera.width_px, camera.height_px) / side_px


def test_a_detector_answers_with_the_stamps_of_the_truth(robot: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from spot_detector import write_spot_detector

    truths = robot.listen(Detection2DArray, "/shapes_camera_node/truth")
    found = robot.listen(Detection2DArray, "/detector_node/camera/detections")
    flat = {
        "model": str(write_spot_detector(tmp_path / "spots.onnx")),
        "threshold": 0.0,
        "backend.kind": "onnxruntime",
        "backend.threads": 1,
        "camera.camera.topic": "camera/image",
    }
    detector = robot.add(DetectorNode(overrides=[Parameter(name, value=flat[name]) for name in flat]))
    assert detector.start(), detector.problem
    assert make(robot).start()
    robot.spin_until(lambda: set(map(stamp_ns, truths)) & set(map(stamp_ns, found)))
    assert {message.header.frame_id for message in (*truths, *found)} == {"camera"}
