# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The detector node between real topics, with a graph that really looks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zmq.auth

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

import onnx
from diagnostic_msgs.msg import DiagnosticArray
from pages import counted, pages
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from spot_detector import spots, write_spot_detector
from std_msgs.msg import String
from std_srvs.srv import SetBool
from vision_msgs.msg import Detection2DArray, LabelInfo
from visualization_msgs.msg import ImageMarker

from lowlat_nodes import resources
from lowlat_nodes.energy.budget import Leeway, Order
from lowlat_nodes.nodes.detector_node import DetectorNode
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream import payload
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.peer import PeerState
from lowlat_nodes.transport.zmq.curve import ClientKeys, load_pair, new_pair
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PIXELS = spots(64, 64, red=(20, 30), green=(40, 50))

Make = Callable[..., DetectorNode]


@pytest.fixture
def detector(robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make an active detector node of spots."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = write_spot_detector(tmp_path / "spots.onnx")

    def make(**values: Any) -> DetectorNode:
        flat = {
            "model": str(model),
            "backend.kind": "onnxruntime",
            "backend.threads": 1,
            "backend.spinning": "never",
            "diagnostic_updater.period": 0.1,
        } | {name.replace("__", "."): value for name, value in values.items()}
        overrides = [Parameter(name, value=value) for name, value in flat.items()]
        node: DetectorNode = robot.add(DetectorNode(overrides=overrides))
        assert node.start(), node.problem
        return node

    return make


def image(pixels: np.ndarray = PIXELS, *, sec: int = 5, frame_id: str = "optical", **changes: Any) -> Image:
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding="rgb8",
        step=pixels.shape[1] * 3,
        data=pixels.tobytes(),
    )
    message.header.stamp.sec = sec
    message.header.frame_id = frame_id
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def places(message: Detection2DArray) -> dict[str, tuple[float, float]]:
    return {
        each.results[0].hypothesis.class_id: (each.bbox.center.position.x, each.bbox.center.position.y)
        for each in message.detections
    }


def diagnostics(robot: Any) -> list[dict[str, str]]:
    collected: list[dict[str, str]] = []

    def collect(message: DiagnosticArray) -> None:
        status = message.status[0]
        values = {item.key: item.value for item in status.values}
        collected.append({"message": status.message, "level": Level(status.level[0]).name, **values})

    robot.outside.create_subscription(DiagnosticArray, "/diagnostics", collect, 10)
    return collected


def test_detections_carry_stamp_and_frame_and_boxes_of_the_source(robot: Any, detector: Make) -> None:
    detector()
    results = robot.listen(Detection2DArray, "/detector_node/detections")
    robot.publish_until(robot.outside.create_publisher(Image, "image", 1), image(), lambda: results)
    message = results[0]
    assert (message.header.stamp.sec, message.header.frame_id) == (5, "optical")
    assert all(each.header == message.header for each in message.detections)
    middles = places(message)
    assert set(middles) == {"red", "green"}
    assert np.allclose(middles["red"], (20, 30), atol=7.0)
    assert np.allclose(middles["green"], (40, 50), atol=7.0)


def test_each_frame_counts_for_the_energy_sampler(
    robot: Any, detector: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path))
    node = detector()
    found = robot.listen(Detection2DArray, "/detector_node/detections")
    publisher = robot.outside.create_publisher(Image, "image", 1)
    robot.publish_until(publisher, image(), lambda: len(found) > 2)
    node.trigger_deactivate()  # all that began is over
    [(started, finished)] = counted(tmp_path, "/detector_node").values()
    assert started == finished >= len(found)
    [page] = pages(tmp_path)
    assert (page.unit, list(page.counts)) == ("detection", [node._detector.shape])
    assert sum(counts.cpu_ns for counts in page.counts.values()) > 0


def test_labels_backend_and_times_are_told(robot: Any, detector: Make) -> None:
    labels: list[LabelInfo] = []
    backends: list[String] = []
    detector()
    robot.outside.create_subscription(LabelInfo, "/detector_node/labels", labels.append, LATCHED)
    robot.outside.create_subscription(String, "/detector_node/backend", backends.append, LATCHED)
    inferences = robot.listen(String, "/detector_node/inferences")
    robot.spin_until(lambda: labels and backends)
    assert [item.class_name for item in labels[0].class_map] == ["red", "green", "blue"]
    (chosen,) = [row for row in json.loads(backends[0].data)["rows"] if row["chosen"]]
    assert (chosen["backend"], chosen["threads"]) == ("onnxruntime", 1)
    robot.publish_until(robot.outside.create_publisher(Image, "image", 1), image(), lambda: inferences)
    record = json.loads(inferences[0].data)
    assert record["capture_ns"] == 5_000_000_000
    assert record["received_ns"] <= record["dequeued_ns"] <= record["published_ns"]
    assert record["detections"] == 2
    assert 0 < record["model_ns"] < record["published_ns"] - record["received_ns"]


def test_labels_keep_their_names_where_results_have_numbers_and_follow_the_threshold(
    robot: Any, detector: Make
) -> None:
    node = detector(class_id="number")
    labels: list[LabelInfo] = []
    robot.outside.create_subscription(LabelInfo, "/detector_node/labels", labels.append, LATCHED)
    robot.spin_until(lambda: labels)
    assert [(item.class_id, item.class_name) for item in labels[0].class_map] == [
        (0, "red"),
        (1, "green"),
        (2, "blue"),
    ]
    assert labels[0].threshold == pytest.approx(0.25)
    assert node.set_parameters_atomically([Parameter("threshold", value=0.5)]).successful
    robot.spin_until(lambda: labels[-1].threshold == 0.5)


def test_a_camera_may_have_any_name(robot: Any, detector: Make) -> None:
    names = ("image", "labels", "enable", "detections")
    detector(**{f"camera__{name}__topic": "same/image" for name in names})
    heard = {name: robot.listen(Detection2DArray, f"/detector_node/{name}/detections") for name in names}
    publisher = robot.outside.create_publisher(Image, "same/image", 1)
    robot.publish_until(publisher, image(), lambda: all(heard.values()))


def test_each_camera_is_accounted_for_and_a_silent_one_named(robot: Any, detector: Make) -> None:
    detector(camera__left__topic="left/image", camera__right__topic="right/image")
    told = diagnostics(robot)
    publisher = robot.outside.create_publisher(Image, "left/image", 1)

    def one_is_missing() -> list[dict[str, str]]:
        return [each for each in told if each["message"] == "no input from right"]

    robot.publish_until(publisher, image(), one_is_missing)
    assert int(one_is_missing()[0]["left.received"]) > 0
    assert one_is_missing()[0]["right.received"] == "0"

    def flood() -> bool:
        for _ in range(10):
            publisher.publish(image())
        return int(told[-1].get("left.drops.superseded", 0)) > 0

    robot.spin_until(flood)


def test_the_only_camera_has_its_name_in_topics_too(robot: Any, detector: Make) -> None:
    detector(camera__image__topic="front/image")
    results = robot.listen(Detection2DArray, "/detector_node/image/detections")
    robot.publish_until(robot.outside.create_publisher(Image, "front/image", 1), image(), lambda: results)


def test_viewers_get_markers_and_a_drawing(robot: Any, detector: Make) -> None:
    detector()
    markers = robot.listen(ImageMarker, "/detector_node/markers")
    drawings = robot.listen(Image, "/detector_node/debug_image")
    publisher = robot.outside.create_publisher(Image, "image", 1)
    robot.publish_until(publisher, image(), lambda: markers and drawings)
    assert len(markers[0].points) == 2 * 4 * 2  # two boxes of four lines of two ends
    drawn = np.frombuffer(drawings[0].data, np.uint8).reshape(PIXELS.shape)
    assert drawings[0].header.frame_id == "optical"
    assert not np.array_equal(drawn, PIXELS)


def test_several_cameras_raw_and_compressed_share_one_model(robot: Any, detector: Make) -> None:
    detector(
        camera__left__topic="left/image", camera__right__topic="right/jpeg", camera__right__compressed=True
    )
    left = robot.listen(Detection2DArray, "/detector_node/left/detections")
    right = robot.listen(Detection2DArray, "/detector_node/right/detections")
    raw = robot.outside.create_publisher(Image, "left/image", 1)
    packed = robot.outside.create_publisher(CompressedImage, "right/jpeg", 1)
    png = CompressedImage(format="png", data=cv2.imencode(".png", PIXELS[:, :, ::-1])[1].tobytes())
    png.header.frame_id = "right"

    def both() -> bool:
        raw.publish(image(frame_id="left"))
        packed.publish(png)
        return bool(left and right)

    robot.spin_until(both)
    assert (left[0].header.frame_id, right[0].header.frame_id) == ("left", "right")
    assert places(left[0]) == places(right[0])


def test_threshold_and_classes_change_while_it_runs_and_an_unknown_class_is_refused(
    robot: Any, detector: Make
) -> None:
    detector()
    results = robot.listen(Detection2DArray, "/detector_node/detections")
    publisher = robot.outside.create_publisher(Image, "image", 1)

    def change(name: str, value: Any) -> Any:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return robot.call(SetParameters, "/detector_node/set_parameters", request).results[0]

    refused = change("classes", ["gren"])
    assert not refused.successful
    assert "did you mean 'green'" in refused.reason
    assert change("classes", ["green"]).successful
    robot.publish_until(publisher, image(), lambda: results and set(places(results[-1])) == {"green"})
    assert not change("max_pixels", 5).successful  # not live


def test_it_can_be_switched_off_and_on(robot: Any, detector: Make) -> None:
    detector()
    results = robot.listen(Detection2DArray, "/detector_node/detections")
    told = diagnostics(robot)
    publisher = robot.outside.create_publisher(Image, "image", 1)
    robot.publish_until(publisher, image(), lambda: results)
    assert robot.call(SetBool, "/detector_node/enable", SetBool.Request(data=False)).success
    robot.spin_until(lambda: publisher.get_subscription_count() == 0)
    robot.spin_until(lambda: told and told[-1]["message"] == "disabled")
    assert robot.call(SetBool, "/detector_node/enable", SetBool.Request(data=True)).success
    robot.spin_until(lambda: publisher.get_subscription_count() == 1)
    results.clear()
    robot.publish_until(publisher, image(), lambda: results)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"encoding": "32FC7"}, "encoding: expected"),
        ({"step": 5}, "step: expected at least 192"),
        ({"data": b"\0" * 100}, "data: expected 64 rows"),
        ({"height": 0, "data": b""}, "expected at least one pixel"),
        ({"width": 16_000, "height": 16_000, "step": 48_000}, "data: expected 16000 rows"),
        ({"encoding": "32FC1", "step": 256, "data": b"\0" * 64 * 256}, "32FC1"),
    ],
)
def test_a_bad_image_is_counted_and_the_next_one_is_detected(
    robot: Any, detector: Make, changes: dict[str, Any], expected: str
) -> None:
    detector()
    results = robot.listen(Detection2DArray, "/detector_node/detections")
    told = diagnostics(robot)
    publisher = robot.outside.create_publisher(Image, "image", 1)
    robot.publish_until(publisher, image(**changes), lambda: told and expected in told[-1]["last_failure"])
    assert int(told[-1]["drops"]) + int(told[-1]["failures"]) > 0
    assert not results
    robot.publish_until(publisher, image(), lambda: results)


def test_the_same_goes_out_over_zeromq(robot: Any, detector: Make, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/out"
    detector(zmq__endpoint=endpoint)
    heard: list[Message] = []
    subscriber = Subscriber(endpoint, {"found": "detector_node/detections"}, clock=SystemClock())
    subscriber.start(heard.append)
    try:
        publisher = robot.outside.create_publisher(Image, "image", 1)
        robot.publish_until(publisher, image(), lambda: heard)
    finally:
        subscriber.stop()
    message = heard[0]
    assert (message.frame_id, message.trace.capture_ns) == ("optical", 5_000_000_000)
    assert message.payload.names == ("red", "green", "blue")
    assert message.payload.rows.shape == (2, 6)


def test_its_worker_beats_over_zeromq_and_says_once_that_it_stops(
    robot: Any, detector: Make, tmp_path: Path
) -> None:
    endpoint = f"ipc://{tmp_path}/out"
    node = detector(zmq__endpoint=endpoint)
    subscriber = Subscriber(endpoint, {}, clock=SystemClock())
    subscriber.start(lambda _message: None)
    try:

        def state() -> PeerState:
            return subscriber.peer.states(time.monotonic_ns())[0]

        publisher = robot.outside.create_publisher(Image, "image", 1)
        robot.publish_until(publisher, image(), lambda: state().sequence > 0)
        assert state().name == "/detector_node"
        assert state().state in {"idle", "running"}
        assert state().latency_ns > 0
        node.trigger_deactivate()
        robot.spin_until(lambda: state().state == "stopped")
        node.trigger_activate()
        robot.spin_until(lambda: state().state == "idle")
    finally:
        subscriber.stop()


def test_a_camera_over_zeromq_that_hangs_or_goes_is_named(robot: Any, detector: Make, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/camera"
    detector(camera__front__endpoint=endpoint, camera__front__topic="images")
    told = diagnostics(robot)

    def of_camera() -> str:
        return told[-1].get("peer.front.state", "") if told else ""

    robot.spin_until(lambda: of_camera() == "never seen")
    frame = Message("image", payload.Image(PIXELS, "rgb8"))
    with contextlib.closing(Publisher(endpoint, {"image": "images"})) as publisher:

        def films() -> str:
            publisher.write(frame)
            publisher.beat(Heartbeat("/camera", "running", 7, 2_000_000, 250_000_000))
            return of_camera()

        robot.spin_until(lambda: films() == "running" and told[-1]["message"] == "running")
        assert (told[-1]["peer.front.sequence"], told[-1]["peer.front.latency_ms"]) == ("7", "2")
        robot.spin_until(lambda: of_camera() == "silent")
        assert "front (/camera) hangs: its loop has not gone round for" in told[-1]["message"]
        assert told[-1]["level"] == "WARN"
    robot.spin_until(lambda: of_camera() == "gone")
    assert "front (/camera) gone for" in told[-1]["message"]


@pytest.mark.tracking
def test_a_thing_has_the_same_id_over_frames(robot: Any, detector: Make, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/out"
    detector(tracking__kind="bytetrack", zmq__endpoint=endpoint)
    results = robot.listen(Detection2DArray, "/detector_node/detections")
    heard: list[Message] = []
    subscriber = Subscriber(endpoint, {"found": "detector_node/detections"}, clock=SystemClock())
    subscriber.start(heard.append)
    publisher = robot.outside.create_publisher(Image, "image", 1)
    try:
        for frame in range(8):
            moved = image(spots(64, 64, red=(20 + frame, 30), green=(40, 50 - frame)))
            stamp = moved.header.stamp
            stamp.nanosec = frame * 33_000_000

            def answered(stamp: Any = stamp) -> bool:
                return any(message.header.stamp == stamp for message in results)

            robot.publish_until(publisher, moved, answered)
        robot.publish_until(publisher, moved, lambda: heard)
    finally:
        subscriber.stop()
    ids = [
        {each.results[0].hypothesis.class_id: each.id for each in message.detections} for message in results
    ]
    assert set(ids[-1]) == {"red", "green"}
    assert sorted(ids[-1].values()) == ["1", "2"]
    assert all(each == ids[-1] for each in ids[1:])  # the first may be of the first frame, without
    assert sorted(heard[-1].payload.tracks.tolist()) == [1, 2]


def test_whoever_may_not_listen_is_counted(robot: Any, detector: Make, tmp_path: Path) -> None:
    server, client = (zmq.auth.create_certificates(str(tmp_path), name) for name in ("server", "client"))
    Path(server[1]).chmod(0o600)
    endpoint = f"ipc://{tmp_path}/out"
    detector(zmq__endpoint=endpoint, zmq__key=server[1], zmq__clients=[client[0]])
    told = diagnostics(robot)
    keys = ClientKeys(new_pair(), load_pair(Path(server[1])).public)
    stranger = Subscriber(endpoint, {"found": "detector_node/detections"}, clock=SystemClock(), keys=keys)
    stranger.start(lambda _message: None)
    publisher = robot.outside.create_publisher(Image, "image", 1)
    try:
        robot.publish_until(publisher, image(), lambda: told and "zmq.keys_refused" in told[-1])
    finally:
        stranger.stop()


def test_old_frames_are_not_worth_detecting(robot: Any, detector: Make) -> None:
    detector(deadline_ms=1000.0)
    results = robot.listen(Detection2DArray, "/detector_node/detections")
    told = diagnostics(robot)
    publisher = robot.outside.create_publisher(Image, "image", 1)
    robot.publish_until(publisher, image(sec=5), lambda: told and int(told[-1].get("drops.stale", 0)) > 0)
    assert not results


def test_the_shipped_parameter_file_serves_with_a_model_of_ones_own(
    robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = Parameter("model", value=str(write_spot_detector(tmp_path / "spots.onnx")))
    arguments = ["--ros-args", "--params-file", str(resources.path("config", "detector.yaml"))]
    node = robot.add(DetectorNode(overrides=[model], cli_args=arguments))
    assert node.start(), node.problem
    results = robot.listen(Detection2DArray, "/detector_node/camera/detections")
    publisher = robot.outside.create_publisher(Image, "camera/image", 1)

    def detected() -> bool:
        fresh = image()
        fresh.header.stamp = robot.outside.get_clock().now().to_msg()
        publisher.publish(fresh)
        return bool(results)

    robot.spin_until(detected)


def test_a_configure_that_failed_leaves_nothing_in_the_way_of_the_next(robot: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        values = {"model": str(write_spot_detector(tmp_path / "mine.onnx")), "zmq.endpoint": endpoint}
        flat = values | {"backend.kind": "onnxruntime", "backend.threads": 1}
        node = robot.add(
            DetectorNode(overrides=[Parameter(name, value=value) for name, value in flat.items()])
        )
        assert not node.start()
        assert "cannot listen" in node.problem
        robot.spin_until(lambda: not node.count_publishers("/detector_node/detections"))
    for _ in range(2):
        assert node.start(), node.problem
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("source ", "gate"))]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core leaves one way to run a model")
def test_a_signal_ends_the_timing_of_backends(
    robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = write_spot_detector(tmp_path / "spots.onnx")
    flat = {"model": str(model), "backend.kind": "onnxruntime", "backend.spinning": "never"}
    node = robot.add(DetectorNode(overrides=[Parameter(name, value=value) for name, value in flat.items()]))
    with contextlib.closing(StopRequest()) as stop:
        node.stop = stop
        stop.set()
        assert not node.start()
    assert "told to stop" in node.problem


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"model": "nowhere.onnx"}, "nowhere.onnx"),
        ({"model": "shape"}, "did you mean 'shapes'"),
        ({"classes": ["rad"]}, "did you mean 'red'"),
        ({"treshold": 0.5}, "did you mean 'threshold'"),
        ({"layout.layout": "detr"}, "layout detr"),
        ({"camera.front.topic": "front camera"}, "cannot configure: topic: expected the name of a ROS topic"),
        ({"camera.front.topic": ""}, "cannot configure: topic: expected the name of a ROS topic"),
        ({"zmq.endpoint": "tcp://0.0.0.0:5557"}, "other machines can reach"),
        ({"zmq.key": "nowhere"}, "lowlat keys new nowhere"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_reason(
    robot: Any, tmp_path: Path, values: dict[str, Any], expected: str
) -> None:
    model = write_spot_detector(tmp_path / "spots.onnx")
    flat = {"model": str(model), "backend.kind": "onnxruntime", "backend.threads": 1} | values
    node = robot.add(DetectorNode(overrides=[Parameter(name, value=value) for name, value in flat.items()]))
    assert not node.start()
    assert expected in node.problem


def test_frames_with_too_many_boxes_are_cut_and_a_camera_that_keeps_sending_them_is_named(
    robot: Any, detector: Make
) -> None:
    detector(energy__guard__most=1.0, energy__guard__free=1.0)
    told = diagnostics(robot)
    results = robot.listen(Detection2DArray, "/detector_node/detections")
    records = robot.listen(String, "/detector_node/inferences")
    publisher = robot.outside.create_publisher(Image, "image", 1)
    robot.publish_until(
        publisher, image(), lambda: told and told[-1].get("guard.open") == "image" and records
    )
    assert {len(each.detections) for each in results} == {1}
    record = json.loads(records[-1].data)
    assert (record["candidates"], record["cut"]) == (2, 1)
    warned = next(each for each in reversed(told) if each.get("guard.open"))
    assert warned["guard.open"] == "image"
    assert warned["level"] == "WARN"
    assert "image: too many calls wanted far more boxes" in warned["message"]
    assert int(warned["guard.cut"]) >= 5
    assert warned["guard.refused"] == "0"
    before = len(results)  # a robot is not blinded by a picture
    robot.publish_until(publisher, image(), lambda: len(results) > before + 3)


def test_a_camera_can_be_refused(robot: Any, detector: Make) -> None:
    detector(
        energy__guard__most=1.0,
        energy__guard__free=1.0,
        energy__guard__breaker__while_open="refuse",
        energy__guard__breaker__cool_down_s=3600.0,
    )
    told = diagnostics(robot)
    publisher = robot.outside.create_publisher(Image, "image", 1)
    robot.publish_until(publisher, image(), lambda: told and int(told[-1].get("guard.refused", 0)) > 2)
    assert told[-1]["guard.cut"] == "5"


def test_a_budget_leaves_out_frames_and_takes_a_cheaper_model(
    robot: Any, detector: Make, tmp_path: Path
) -> None:
    cheaper = write_spot_detector(tmp_path / "cheaper.onnx", half=True)
    node = detector(cheaper=[str(cheaper)])
    assert node.leeway() == Leeway(0.1, 2)
    found: list[Detection2DArray] = []
    backends: list[str] = []
    robot.outside.create_subscription(Detection2DArray, "/detector_node/detections", found.append, 10)
    robot.outside.create_subscription(
        String, "/detector_node/backend", lambda told: backends.append(told.data), LATCHED
    )
    publisher = robot.outside.create_publisher(Image, "/image", 10)
    reports = diagnostics(robot)

    def looked(count: int) -> bool:
        publisher.publish(image())
        return len(found) >= count

    robot.spin_until(lambda: looked(3) and len(backends) == 1)
    assert node.bucket(Message("image", None)) == "spots 64x64"
    node.obey(Order(max_hz=1e-3, model=1))
    assert node.bucket(Message("image", None)) == "cheaper 64x64"
    robot.spin_until(lambda: looked(0) and reports and int(reports[-1].get("drops.budget", "0")) > 2)
    assert reports[-1]["level"] == "OK"
    robot.spin_until(lambda: len(backends) == 2)
    before = len(found)
    node.obey(Order(model=1))
    robot.spin_until(lambda: looked(before + 3))
    assert set(places(found[-1])) == {"red", "green"}
    node.obey(Order())
    robot.spin_until(lambda: len(backends) == 3)


def test_a_cheaper_model_of_other_classes_is_refused(detector: Make, tmp_path: Path) -> None:
    other = write_spot_detector(tmp_path / "other.onnx")
    model = onnx.load(other)
    onnx.helper.set_model_props(model, {"names": str({0: "green", 1: "red", 2: "blue"}), "task": "detect"})
    onnx.save(model, other)
    with pytest.raises(AssertionError, match="cheaper: expected models with the classes of the first one"):
        detector(cheaper=[str(other)])
