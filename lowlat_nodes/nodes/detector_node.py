# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detects things in camera images with a neural network."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from std_srvs.srv import SetBool

from lowlat_nodes.energy.budget import Leeway, Order
from lowlat_nodes.energy.guard import Guard
from lowlat_nodes.inference.segments.sharing import open_sharing
from lowlat_nodes.inference.turn import UNSHARED, Turn
from lowlat_nodes.nodes.detector_config import DetectorNodeConfig
from lowlat_nodes.nodes.diagnostics import MS, Level, Report, judge_guard, judge_turn
from lowlat_nodes.nodes.guards import BOXES, candidate_guard
from lowlat_nodes.nodes.processor_node import Hosted, ProcessorNode
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Labels, Text
from lowlat_nodes.transport.ros import Output, RosClock, RosSink
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.vision.detector import DEBUG, DETECTIONS, MARKERS, Detector
from lowlat_nodes.vision.detector_tiers import DetectorTiers

_TYPES = {
    DETECTIONS: "vision_msgs/msg/Detection2DArray",
    MARKERS: "visualization_msgs/msg/ImageMarker",
    DEBUG: "sensor_msgs/msg/Image",
}
_LATCHED = {
    "labels": Output(topic="~/labels", type_name="vision_msgs/msg/LabelInfo", latched=True),
    "backend": Output(topic="~/backend", type_name="std_msgs/msg/String", latched=True),
}
_INFERENCES = {
    "inferences": Output(topic="~/inferences", type_name="std_msgs/msg/String", depth=10, on_demand=True)
}


class DetectorNode(ProcessorNode[DetectorNodeConfig]):
    """Looks at the newest frame of each camera in turn and publishes what is in it.

    ================== ================================ ==================================================
    topic or service   type                             content
    ================== ================================ ==================================================
    image              sensor_msgs/Image                subscribed, unless cameras are configured
    ~/detections       vision_msgs/Detection2DArray     stamp and frame of the image, boxes in its pixels
    ~/markers          visualization_msgs/ImageMarker   the same for viewers
    ~/debug_image      sensor_msgs/Image                rgb8, the same drawn; only while somebody listens
    ~/inferences       std_msgs/String                  JSON per frame: when, and how long what took
    ~/labels           vision_msgs/LabelInfo            latched: names of the classes by number
    ~/backend          std_msgs/String                  latched: JSON, what runs the model and what was tried
    ~/enable           std_srvs/SetBool                 stops to listen, or listens again
    ================== ================================ ==================================================

    With cameras configured by name, their topics are `~/<name>/detections` and so on. With `zmq.endpoint` the
    detections go out there as well, under the name of their topic without the leading slash.
    """

    unit = "detection"

    def __init__(self, **ros: Any) -> None:
        self._tiers: DetectorTiers | None = None
        self._guard: Guard | None = None
        self._latched: RosSink | None = None
        self._told: RosSink | None = None
        self._zmq: Publisher | None = None
        self._turn: Turn = UNSHARED
        self._model_time, self._prepare_time = Histogram(), Histogram()
        super().__init__("detector_node", DetectorNodeConfig, self._make, **{"task": "detector", **ros})
        self._stamps = RosClock(self)
        self.create_service(SetBool, "~/enable", self._on_enable)

    def setup(self, config: DetectorNodeConfig) -> None:
        """Load the model, choose what runs it, and say so."""
        super().setup(config)
        self._turn.declare()
        detector = self._detector
        streams = [name for name in detector.outputs if name.endswith(f"/{DETECTIONS}")]
        topics = {name: self.resolve_topic_name(self.topic(name)).lstrip("/") for name in streams}
        self._zmq = config.zmq.publisher(topics)
        self._told = RosSink(self, _INFERENCES)
        self._latched = RosSink(self, _LATCHED)
        self._latched.write(Message("labels", Labels(detector.names, config.threshold)))
        self._latched.write(Message("backend", Text(detector.loaded.as_json())))
        for each in self._loaded.detectors:
            self.get_logger().info(each.loaded.as_text())

    def teardown(self) -> None:
        """Release the model and withdraw the topics."""
        for sink in (self._told, self._latched, self._zmq):
            if sink is not None:
                sink.close()
        self._told = self._latched = self._zmq = self._tiers = self._guard = None
        super().teardown()
        self._turn.close()
        self._turn = UNSHARED

    def check(self, config: DetectorNodeConfig) -> None:
        """Refuse classes that the model does not have."""
        if self._tiers is not None:
            self._detector.reporting(config)

    def changed(self, config: DetectorNodeConfig) -> None:
        """Take over threshold, classes and number of detections from the next frame on."""
        assert self._guard is not None
        self._guard.set_free(config.max_detections)
        assert self._latched is not None
        for detector in self._loaded.detectors:
            detector.report_on(config)
        self._latched.write(Message("labels", Labels(self._detector.names, config.threshold)))

    def published(self, message: Message) -> None:
        """Account for the time of a frame, and tell whoever listens."""
        assert self._told is not None
        published_ns = self._stamps.now_ns()
        stages, trace = self._detector.stages, message.trace
        self._model_time.record(stages.model_ns)
        self._prepare_time.record(stages.prepare_ns)
        if self._zmq is not None:
            self._zmq.write(message)
        if not self._told.wanted("inferences"):
            return
        record = {
            "camera": message.topic.partition("/")[0],
            "frame_id": message.frame_id,
            "capture_ns": trace.capture_ns,
            "received_ns": trace.received_ns,
            "dequeued_ns": trace.dequeued_ns,
            "published_ns": published_ns,
            "prepare_ns": stages.prepare_ns,
            "model_ns": stages.model_ns,
            "decode_ns": stages.decode_ns,
            "track_ns": stages.track_ns,
            "candidates": stages.candidates,
            "cut": stages.cut,
            "detections": len(message.payload.rows),
        }
        self._told.write(Message("inferences", Text(json.dumps(record))))

    def bucket(self, message: Message) -> str:  # noqa: ARG002
        """Return the model where there are several, and the size of its images: what a frame costs by."""
        detector = self._loaded.coming
        if len(self._loaded.detectors) == 1:
            return detector.shape
        return f"{detector.loaded.model.path.stem} {detector.shape}"

    def leeway(self) -> Leeway:
        """Return that frames may be left out, and how many models there are."""
        return Leeway(super().leeway().floor_hz, 1 if self._tiers is None else len(self._tiers.detectors))

    def obey(self, order: Order) -> None:
        """Leave out frames beyond a rate, and work with another model from the next one on."""
        super().obey(order)
        if self._tiers is None or self._latched is None:
            return
        before = self._tiers.coming
        self._tiers.choose(order.model)
        if self._tiers.coming is not before:
            self._latched.write(Message("backend", Text(self._tiers.coming.loaded.as_json())))
            self.get_logger().info(f"energy budget: {self._tiers.coming.loaded.as_text()}")

    def beat(self, heartbeat: Heartbeat) -> None:
        """Tell whoever takes the detections over ZeroMQ that the worker goes round."""
        if self._zmq is not None:
            self._zmq.beat(heartbeat)

    def report(self) -> Report:
        """Return what every processor node does, and how long model and preparation took."""
        assert self._guard is not None
        report = super().report()
        if self.silent and report.summary == "running":
            report.level, report.summary = Level.STALE, f"no input from {', '.join(self.silent)}"
        report.values["rows_refused"] = sum(detector.refused for detector in self._loaded.detectors)
        report.values["backend"] = self._detector.loaded.candidate.describe()
        if self._zmq is not None:
            report.values |= {f"zmq.{name}": count for name, count in self._zmq.counts.snapshot().items()}
            report.values["zmq.endpoint"] = self._zmq.endpoint
        model, self._model_time = self._model_time, Histogram()
        prepare, self._prepare_time = self._prepare_time, Histogram()
        for name, times in (("model", model), ("prepare", prepare)):
            for share, value in zip(("p50", "p99"), times.quantiles((0.5, 0.99)), strict=True):
                report.values[f"{name}_{share}_ms"] = value / MS if times.count else float("nan")
        return judge_turn(judge_guard(report, self._guard.state(), BOXES), self._turn.figures())

    @property
    def _loaded(self) -> DetectorTiers:
        assert self._tiers is not None
        return self._tiers

    @property
    def _detector(self) -> Detector:
        """The one that works on the frame in hand."""
        return self._loaded.present

    def _make(self, config: DetectorNodeConfig) -> Hosted:
        inputs, outputs = config.inputs(), dict(_outputs(config))
        self._guard = guard = candidate_guard(config.energy.guard, config.max_detections)
        sharing = open_sharing(config.turn, self.get_fully_qualified_name())
        self._turn = sharing.turn
        self._tiers = DetectorTiers(
            [
                Detector(
                    tier,
                    tuple(inputs),
                    wanted=self.wanted,
                    stop=self.stopping,
                    bound=guard,
                    sharing=sharing,
                )
                for tier in config.tiers()
            ]
        )
        return Hosted(
            self._tiers,
            inputs,
            outputs,
            results={name for name in outputs if name.endswith(f"/{DETECTIONS}")},
        )

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.listen(on=request.data)
        response.success = True
        response.message = "listening" if request.data else "not listening"
        return response


def _outputs(config: DetectorNodeConfig) -> Iterator[tuple[str, Output]]:
    for camera in config.cameras():
        for kind, type_name in _TYPES.items():
            topic = config.topic(camera, kind)
            yield (
                f"{camera}/{kind}",
                Output(topic=topic, type_name=type_name, on_demand=kind != DETECTIONS),
            )


def main() -> int:
    """Run the node."""
    return run(DetectorNode)


if __name__ == "__main__":
    sys.exit(main())
