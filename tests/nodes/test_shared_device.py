# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that share a device: a long job beside a policy, figures in the diagnostics, refusals by name."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from alert_model import write_alert_model
from diagnostic_msgs.msg import DiagnosticArray
from policy_rig import Rig
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from sharing_policy import ASKED, FILE, HAD, SEGMENT, Diary
from spot_detector import spots, write_spot_detector

from lowlat_nodes.alerts.loading import load_classifier
from lowlat_nodes.alerts.shared_classifier import SharedClassifier, example_curves
from lowlat_nodes.inference.segments.sharing import WARM_UPS, Sharing
from lowlat_nodes.inference.turns.shared import SharedTurn
from lowlat_nodes.nodes.alert_node import AlertNode
from lowlat_nodes.nodes.detector_node import DetectorNode

pytestmark = pytest.mark.ros

DEVICE = "cpu7"


def policy(period_ms: float) -> dict[str, Any]:
    return {
        "policy": {"factory": "sharing_policy:make"},
        "turn": {"device": DEVICE, "period_ms": period_ms},
    }


@pytest.fixture(autouse=True)
def turn_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the nodes of a test meet, and no others."""
    folder = tmp_path / "turns"
    monkeypatch.setenv("LOWLAT_TURN_DIR", str(folder))
    return folder


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "events"
    monkeypatch.setenv(FILE, str(path))
    return path


@pytest.fixture
def rigs(ros_domain_id: int, tmp_path: Path, diary: Path) -> Iterator[Callable[..., Rig]]:
    """Start policy nodes with their processes, at the device."""
    started: list[Rig] = []

    def start(changes: dict[str, Any]) -> Rig:
        started.append(Rig(ros_domain_id, tmp_path, changes))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def add(robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Make detector and alert nodes of small models."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    flat = {
        DetectorNode: {
            "model": str(write_spot_detector(tmp_path / "spots.onnx")),
            "backend.kind": "onnxruntime",
            "backend.threads": 1,
        },
        AlertNode: {
            "model": str(write_alert_model(tmp_path / "alerts.onnx")),
            "source.zmq.endpoint": f"ipc://{tmp_path}/alerts",
        },
    }

    def make(kind: type[Any], **values: Any) -> Any:
        given = {"diagnostic_updater.period": 0.1, "turn.device": DEVICE, **flat[kind]}
        given |= {name.replace("__", "."): value for name, value in values.items()}
        return robot.add(kind(overrides=[Parameter(name, value=value) for name, value in given.items()]))

    return make


class Alerts(threading.Thread):
    """Classifies one large batch after the other, with the model that ships."""

    def __init__(self, segment_ms: float, diary: Path) -> None:
        super().__init__()
        self.turn = SharedTurn(DEVICE, "/night")
        self._diary = Diary(diary)
        self._gives_way = self.turn.between
        self.turn.between = self._between  # type: ignore[method-assign]
        sharing = Sharing(self.turn, segment_ms)
        self._classifier = SharedClassifier(load_classifier("tokens"), sharing)
        self._classifier.warm_up(sharing, 200)
        self.turn.declare()
        self._curves = example_curves(200)
        self._closing = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._closing.is_set():
            self._classifier.classify(self._curves)

    def close(self) -> None:
        self._closing.set()
        self.join()
        self.turn.close()
        self._diary.close()

    def _between(self) -> None:
        self._diary.note(SEGMENT)
        self._gives_way()


def test_a_policy_waits_for_one_segment_of_a_long_job_and_never_for_two(
    rigs: Callable[..., Rig], diary: Path
) -> None:
    rig = rigs(policy(1000.0))  # a busy machine may take its time
    rig.until_moving()
    alerts = Alerts(2.0, diary)
    try:
        rig.until(lambda: int(alerts.turn.figures()["turn.yields"]) >= 10, "giving way")
        rig.until(lambda: "/night" in rig.robot.values.get("turn.shared_with", ""), "figures")
        figures, values = alerts.turn.figures(), rig.robot.values
    finally:
        alerts.close()
    told = diary.read_bytes()
    waits = re.findall(ASKED + b"(" + SEGMENT + b"*)" + HAD, told)
    assert len(waits) >= 10
    assert max(map(len, waits)) <= 1
    between_policies = re.findall(HAD + b"(" + SEGMENT + b"*)" + ASKED, told)
    assert max(map(len, between_policies)) > 1  # there was a job to wait for
    assert values["turn.device"] == DEVICE
    assert float(values["turn.blocking_ms"]) > 0.0
    assert int(values["turn.jobs"]) > 0
    assert values["turn.feasible"] == "yes"
    assert "/policy_node" in figures["turn.shared_with"]


def test_figures_are_in_the_diagnostics(robot: Any, add: Callable[..., Any]) -> None:
    found: dict[str, dict[str, str]] = {}

    def collect(message: DiagnosticArray) -> None:
        for status in message.status:
            found[status.name.partition(":")[0]] = {item.key: item.value for item in status.values}

    robot.outside.create_subscription(DiagnosticArray, "/diagnostics", collect, 10)
    detector = add(DetectorNode, turn__period_ms=1000.0)
    alerts = add(AlertNode, turn__segment_ms=5.0)
    for node in (detector, alerts):
        assert node.start(), node.problem
    publisher = robot.outside.create_publisher(Image, "image", 1)
    pixels = spots(64, 64, red=(20, 30))
    image = Image(width=64, height=64, encoding="rgb8", step=192, data=pixels.tobytes())

    def seen() -> bool:
        figures = found.get("detector_node", {})
        return int(figures.get("turn.jobs", "0")) > WARM_UPS and "turn.device" in found.get("alert_node", {})

    robot.publish_until(publisher, image, seen)
    assert found["detector_node"]["turn.shared_with"] == "/alert_node"
    assert found["alert_node"]["turn.shared_with"] == "/detector_node"
    assert float(found["detector_node"]["turn.segment_max_ms"]) > 0.0
    assert int(found["alert_node"]["turn.jobs"]) == WARM_UPS
    detector.trigger_deactivate()
    detector.trigger_cleanup()
    robot.spin_until(lambda: found["alert_node"]["turn.shared_with"] == "")


def test_who_shares_nothing_says_nothing_of_it(robot: Any, add: Callable[..., Any]) -> None:
    node = add(DetectorNode, turn__device="")
    assert node.start(), node.problem
    assert not [name for name in node.report().values if name.startswith("turn.")]


def test_a_set_that_cannot_meet_its_deadlines_is_refused_by_name(add: Callable[..., Any]) -> None:
    detector = add(DetectorNode, turn__period_ms=60.0)
    assert detector.start(), detector.problem
    # So many alerts in one piece take ten times as long as the detector may wait.
    alerts = add(AlertNode, model="tokens", batch=2048)
    assert not alerts.start()
    assert re.match(
        r"cannot configure: turn: /alert_node cannot share cpu7: /detector_node would miss its deadline of "
        r"60 ms.*as /alert_node holds it up for a segment",
        alerts.problem,
    )
    assert alerts.state == "unconfigured"
    assert detector.report().values["turn.shared_with"] == ""


def test_a_frame_that_waits_too_long_fails_and_the_next_one_is_looked_at(
    robot: Any, add: Callable[..., Any]
) -> None:
    detector = add(DetectorNode, turn__timeout_ms=50.0)
    assert detector.start(), detector.problem
    publisher = robot.outside.create_publisher(Image, "image", 1)
    image = Image(width=64, height=64, encoding="rgb8", step=192, data=bytes(64 * 64 * 3))
    holder = SharedTurn(DEVICE, "/holder")
    with holder.job():
        robot.publish_until(publisher, image, lambda: detector.report().values["failures"])
    report = detector.report().values
    assert "expected to get cpu7 within" in report["last_failure"]
    assert "/holder" in report["last_failure"]
    jobs = int(report["turn.jobs"])
    robot.publish_until(publisher, image, lambda: int(detector.report().values["turn.jobs"]) > jobs)
    holder.close()


def test_alerts_are_not_to_fail_because_they_wait(add: Callable[..., Any]) -> None:
    node = add(AlertNode, turn__timeout_ms=100.0)
    assert not node.start()
    assert "turn.timeout_ms: expected 0" in node.problem


def test_lowlat_up_says_who_cannot_share_with_whom(tmp_path: Path, rigs: Callable[..., Rig]) -> None:
    rig = rigs(policy(100.0))
    rig.until_moving()
    parameters = {"model": "tokens", "batch": 2048, "turn": {"device": DEVICE}}
    path = tmp_path / "alerts.yaml"
    path.write_text(yaml.safe_dump({"alert_node": {"ros__parameters": parameters}}))
    done = subprocess.run(
        [sys.executable, "-m", "lowlat_nodes.cli.main", "up", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = done.stdout + done.stderr
    assert "/alert_node cannot share cpu7: /policy_node would miss its deadline of 100 ms" in told, told
    assert done.returncode != 0
    rig.until_moving()


def test_a_policy_that_cannot_share_is_refused_and_the_others_go_on(
    diary: Path, rigs: Callable[..., Rig]
) -> None:
    alerts = Alerts(0.0, diary)  # in one piece
    try:
        rig = rigs(policy(5.0))
        rig.process.wait(60.0)
        assert "/policy_node cannot share cpu7: /policy_node would miss its deadline of 5 ms" in rig.output
        assert "as /night holds it up" in rig.output
        assert alerts.turn.figures()["turn.shared_with"] == ""
    finally:
        alerts.close()
