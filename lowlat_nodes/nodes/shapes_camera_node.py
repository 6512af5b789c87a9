# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated camera before moving shapes, with the truth about each frame, to try detectors on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2

from lowlat_nodes.nodes.base import LifecycleHost, NodeSettings
from lowlat_nodes.nodes.diagnostics import MS, Level, Report, Window, judge_loop, standard_values
from lowlat_nodes.nodes.run import run
from lowlat_nodes.nodes.zmq_output import ZmqSettings
from lowlat_nodes.sim.shapes import ShapesConfig, ShapeStream
from lowlat_nodes.sim.shapes.camera import DRAWN, PHOTOGRAPHS, ShapesCamera, backgrounds, kind_of_background
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.heartbeat import RUNNING, STOPPED
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import CompressedImage, Detections, Image
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.ros import Output, RosClock, RosSink
from lowlat_nodes.transport.zmq.publisher import Publisher

_S = 1_000_000_000
_BEHIND = 0.98  # of the rate: less than this is worth a warning

TRUTH = Output(topic="~/truth", type_name="vision_msgs/msg/Detection2DArray", depth=10)


@dataclass(frozen=True, kw_only=True)
class ShapesCameraSettings(NodeSettings):
    """Everything that the simulated camera can be told."""

    topic: str = setting("camera/image", doc="Topic of the images.")
    rate_hz: float = setting(15.0, doc="Frames per second.", unit="Hz", low=1.0, high=200.0)
    width_px: int = setting(640, doc="Width of frames.", unit="px", low=16, high=4096)
    height_px: int = setting(480, doc="Height of frames.", unit="px", low=16, high=4096)
    frame_id: str = setting("camera", doc="Frame of images and truth.")
    compressed: bool = setting(
        False, doc="Publish JPEG files (sensor_msgs/CompressedImage) on <topic>/compressed instead."
    )
    jpeg_quality: int = setting(90, doc="Quality of JPEG files.", low=1, high=100)
    seed: int = setting(0, doc="The same seed shows the same scene.", low=0)
    shapes: int = setting(6, doc="How many shapes there are.", low=0, high=100)
    scale: float = setting(
        2.0,
        doc="Px of the frame per px of a network's input: shapes are 8 to 160 px times this.",
        low=0.1,
        high=16.0,
    )
    zmq: ZmqSettings = section(
        ZmqSettings, doc="The images over ZeroMQ as well, under the topic `camera`; on ROS on demand, then."
    )
    backgrounds: str = setting(
        "auto",
        doc="What is behind the shapes; auto: photographs where scikit-image is installed, else drawn.",
        choices=("auto", PHOTOGRAPHS, DRAWN),
    )


class ShapesCameraNode(LifecycleHost[ShapesCameraSettings]):
    """Shows moving shapes in real time, and says where each of them is.

    ======================= ============================ ===================================================
    topic                   type                         content
    ======================= ============================ ===================================================
    camera/image            sensor_msgs/Image            rgb8; the name is `topic`
    camera/image/compressed sensor_msgs/CompressedImage  JPEG, with `compressed` instead of the other
    ~/truth                 vision_msgs/Detection2DArray the visible shapes of each image, with its stamp:
                                                         score 1, `id` the same over all frames
    ======================= ============================ ===================================================

    A frame is rendered before it is due, published when it is, and stamped with that time. Where rendering
    takes longer than a period, frames are left out: what is shown keeps real time.
    """

    def __init__(self, **ros: Any) -> None:
        self._config = ShapesCameraSettings()
        self._camera: ShapesCamera | None = None
        self._background = ""
        self._recording: _Recording | None = None
        self._zmq: Publisher | None = None
        super().__init__("shapes_camera_node", ShapesCameraSettings, **{"task": "simulated camera", **ros})

    def setup(self, config: ShapesCameraSettings) -> None:
        """Make up the scene."""
        self._config = config
        self._background = kind_of_background(config.backgrounds)
        stream = ShapeStream(
            backgrounds(self._background, config.seed),
            ShapesConfig(
                width_px=config.width_px,
                height_px=config.height_px,
                scale=config.scale,
                shapes=(config.shapes, config.shapes),
            ),
            config.seed,
        )
        self._camera = ShapesCamera(
            stream, config.rate_hz, config.jpeg_quality if config.compressed else None
        )
        self._zmq = config.zmq.publisher({"image": "camera"})

    def begin(self) -> None:
        """Advertise the topics and begin with frame 0."""
        assert self._camera is not None
        self._recording = _Recording(self, self._config, self._camera, self._zmq)
        self._recording.start()

    def halt(self) -> None:
        """Take no more frames."""
        if self._recording is not None:
            self._recording.stop()
            self._recording = None

    def teardown(self) -> None:
        """Forget the scene."""
        self._camera = None
        if self._zmq is not None:
            self._zmq.close()
            self._zmq = None

    def report(self) -> Report:
        """Return how well the camera keeps real time."""
        assert self._recording is not None
        report = self._recording.report(self.state)
        report.values |= {"simulated": "true", "backgrounds": self._background, "seed": self._config.seed}
        if self._zmq is not None:
            report.values["zmq.endpoint"] = self._zmq.endpoint
        return report


class _Recording:
    """An active camera: its thread and its topics."""

    def __init__(
        self,
        node: ShapesCameraNode,
        config: ShapesCameraSettings,
        camera: ShapesCamera,
        zmq: Publisher | None,
    ) -> None:
        self._config = config
        self._camera = camera
        self._clock = RosClock(node)
        self._energy = node.energy
        self._sink = RosSink(node, {"image": _images(config, on_demand=zmq is not None), "truth": TRUTH})
        self._zmq = zmq
        self._pulse = Pulse(node.get_fully_qualified_name(), None if zmq is None else zmq.beat)
        self._published = 0
        self._drops, self._failures = Counters(), Counters()
        self._last_failure = ""
        self._window = Window()
        self._render_time = Histogram()
        self._due = 0
        self._lost = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._sink.close()

    def report(self, state: str) -> Report:
        return judge_loop(self._report(state), self._pulse)

    def _report(self, state: str) -> Report:
        drops, failures = self._drops.snapshot(), self._failures.snapshot()
        figures = self._window.turn(self._due)
        values = standard_values(
            state, figures=figures, drops=drops, failures=failures, last_failure=self._last_failure
        )
        render_time, self._render_time = self._render_time, Histogram()
        for share, value in zip(("p50", "p99"), render_time.quantiles((0.5, 0.99)), strict=True):
            values[f"render_{share}_ms"] = value / MS if render_time.count else float("nan")
        lost = sum(drops.values()) + sum(failures.values())
        former, self._lost = self._lost, lost
        if sum(failures.values()) and lost > former:
            return Report(Level.WARN, f"frames fail: {self._last_failure}", values)
        if lost > former and figures["rate_out_hz"] < _BEHIND * self._config.rate_hz:
            rates = f"{figures['rate_out_hz']:.3g} of {self._config.rate_hz:g} Hz"
            return Report(Level.WARN, f"simulated at {rates}: this machine is too slow or too busy", values)
        return Report(Level.OK, "simulated", values)

    def _run(self) -> None:
        self._pulse.begin(lambda error: self._fail("heartbeat", error))
        self._take_frames()
        self._pulse.end(STOPPED, self._published, 0)

    def _take_frames(self) -> None:
        period_ns = self._camera.period_ns
        begin_ns = time.monotonic_ns() + period_ns
        number = 0
        while True:
            self._pulse.turn(RUNNING, self._published, 0)
            due_ns = begin_ns + number * period_ns
            taken = None
            self._energy.begin()
            with self._counted(number):
                taken = self._render(number)
            if self._stopping.wait(max(0, due_ns - time.monotonic_ns()) / _S):
                return
            if taken is not None:
                with self._counted(number):
                    self._publish(*taken, due_ns)
            # Never one whose time has come already.
            following = max(number + 1, -((begin_ns - time.monotonic_ns()) // period_ns))
            if following > number + 1:
                self._drops.add("skipped", following - number - 1)
            self._due = number = following

    @contextmanager
    def _counted(self, number: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # one frame must not end the camera
            self._fail(f"frame {number}", error)

    def _fail(self, what: str, error: Exception) -> None:
        self._failures.add(type(error).__name__)
        self._last_failure = f"{what}: {type(error).__name__}: {error}"

    def _render(self, number: int) -> tuple[Image | CompressedImage, Detections]:
        began_ns = time.monotonic_ns()
        taken = self._camera.take(number)
        self._render_time.record(time.monotonic_ns() - began_ns)
        return taken

    def _publish(self, image: Image | CompressedImage, truth: Detections, due_ns: int) -> None:
        # The age of the deadline crosses over from steady time to ROS time, the time itself does not.
        stamp_ns = self._clock.now_ns() - (time.monotonic_ns() - due_ns)
        trace = Trace(capture_ns=stamp_ns, received_ns=stamp_ns, published_ns=self._clock.now_ns())
        seen = Message("image", image, trace, frame_id=self._config.frame_id)
        if self._zmq is not None:
            self._zmq.write(seen)
        self._sink.write(seen)
        self._sink.write(Message("truth", truth, trace, frame_id=self._config.frame_id))
        trace.published_ns = self._clock.now_ns()
        self._published += 1
        self._energy.done()
        self._window.give(trace)


def _images(config: ShapesCameraSettings, *, on_demand: bool) -> Output:
    """Return where images go; compressed ones under the name that image_transport has for them."""
    topic = f"{config.topic}/compressed" if config.compressed else config.topic
    kind = "CompressedImage" if config.compressed else "Image"
    return Output(topic=topic, type_name=f"sensor_msgs/msg/{kind}", depth=2, on_demand=on_demand)


def main() -> int:
    """Run the node."""
    cv2.setNumThreads(1)  # a real camera leaves the cores to the detector
    return run(ShapesCameraNode)


if __name__ == "__main__":
    sys.exit(main())
