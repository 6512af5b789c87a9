# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera for detectors, and what comes back: publishes frames at a fixed rate and notes every answer.

Frames are serialised before and published past rclpy: a driver in C++ does not need Python's time for that.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.cdr import wire
from lowlat_nodes.transport.ros import Input, RosSource, message_type, prepare_process
from lowlat_nodes.transport.ros.serialised import publish

IMAGE = "sensor_msgs/msg/Image"
HEARD = {"detections": "vision_msgs/msg/Detection2DArray", "inferences": "std_msgs/msg/String"}
_STAMP = slice(4, 12)  # of a serialised message that begins with a header
_PATIENCE_S = 120.0
_LAST_S = 1.5  # for what is still on its way at the end


@dataclass(frozen=True)
class Offered:
    """What a camera offers.

    Attributes:
        frames: uint8 [n, height, width, 3]; shown again from the first one on.
        rate_hz: How often.
        warm_up: How many are shown before those that count.
        count: How many count.
    """

    frames: NDArray[np.uint8]
    rate_hz: float
    warm_up: int
    count: int


class Camera:
    """Publishes on `image`; hears `/<detector>/detections` and, where there is any, `/<detector>/inferences`.

    Attributes:
        published: For each frame that counts its stamp, and when it was handed to `publish`.
        answers: For each answer the stamp of its frame, when it came, and its rows with names for classes.
        inferences: What the node said of each.
    """

    def __init__(self, detector: str) -> None:
        self.published: list[tuple[int, int]] = []
        self.answers: list[tuple[int, int, Any]] = []
        self.inferences: list[dict[str, Any]] = []
        self._node = rclpy.create_node("camera")
        self._publisher = self._node.create_publisher(message_type(IMAGE), "image", QoSProfile(depth=10))
        self._sources = [
            RosSource(
                self._node,
                name,
                Input(topic=f"/{detector}/{name}", type_name=type_name, depth=50),
                own_thread=True,
            )
            for name, type_name in HEARD.items()
        ]
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._running = True
        self._spinning = threading.Thread(target=self._spin)
        self._spinning.start()
        for source in self._sources:
            source.start(self._hear)

    def show(self, offered: Offered, energy: Metered) -> dict[str, Any]:
        """Publish frames on absolute deadlines, once the detector listens and has answered a first one.

        Returns:
            The energy of its answers to all of them.
        """
        messages = [
            bytearray(cdr.encode(IMAGE, 0, "camera", Image(frame, "rgb8"))) for frame in offered.frames
        ]
        self._wait(lambda: self._publisher.get_subscription_count() > 0)
        deadline_s = time.monotonic() + _PATIENCE_S
        while not self.answers:
            if time.monotonic() > deadline_s:
                raise TimeoutError("the detector does not answer")
            self._publish(messages[0])
            time.sleep(0.3)
        time.sleep(0.5)
        with energy:
            answered = len(self.answers)
            next_s = time.monotonic()
            for number in range(offered.warm_up + offered.count):
                next_s += 1.0 / offered.rate_hz
                time.sleep(max(0.0, next_s - time.monotonic()))
                times = self._publish(messages[number % len(messages)])
                if number >= offered.warm_up:
                    self.published.append(times)
            time.sleep(_LAST_S)
        return energy.plain("detection", len(self.answers) - answered)

    def close(self) -> None:
        """Stop to listen."""
        for source in self._sources:
            source.stop()
        self._running = False
        self._spinning.join()
        self._node.destroy_node()

    def _publish(self, message: bytearray) -> tuple[int, int]:
        """Publish a frame; return its stamp, and when it was handed over: Python's copy is no driver's."""
        stamp_ns = time.time_ns()
        message[_STAMP] = wire.pack_time(stamp_ns)
        data = bytes(message)
        handed_ns = time.time_ns()
        publish(self._publisher, data)
        return stamp_ns, handed_ns

    def _hear(self, message: Message) -> None:
        now_ns = time.time_ns()
        if message.topic == "detections":
            found = message.payload  # whose classes are numbered as they appear in this message
            rows = [[*row[:5], found.names[int(row[5])]] for row in found.rows.tolist()]
            self.answers.append((message.trace.capture_ns, now_ns, rows))
        else:
            self.inferences.append(json.loads(message.payload.data))

    def _wait(self, condition: Any) -> None:
        deadline_s = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline_s:
                raise TimeoutError("no detector listens")
            time.sleep(0.05)

    def _spin(self) -> None:
        while self._running:
            self._executor.spin_once(timeout_sec=0.2)


def main(argv: Sequence[str] | None = None) -> int:
    """Show the frames of a file and print what came back as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="a .npy file, uint8 [n, height, width, 3]")
    parser.add_argument("--rate-hz", type=float, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--detector", required=True, help="name of the node")
    parser.add_argument("--pid", type=int, required=True, help="of the node's process")
    options = parser.parse_args(argv)
    energy = Metered([options.pid])
    prepare_process()
    rclpy.init(args=[])
    camera = Camera(options.detector)
    frames = np.load(options.frames, mmap_mode="r", allow_pickle=False)
    try:
        spent = camera.show(Offered(frames, options.rate_hz, options.warm_up, options.count), energy)
    finally:
        camera.close()
    result = {
        "published": camera.published,
        "answers": camera.answers,
        "inferences": camera.inferences,
        "energy": spent,
    }
    rclpy.try_shutdown()
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
