# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One end of an image stream between two processes: a plain rclpy program, or our transport.

Latency goes from an array in the publisher to an array in the subscriber: the stamp is taken before the
message is filled, and compared with CLOCK_REALTIME of the same machine when the pixels can be used.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image as RosImage

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.ros import Input, Output, RosSink, RosSource, prepare_process

TOPIC, TYPE = "image", "sensor_msgs/msg/Image"
_SENSOR_DEPTH = qos_profile_sensor_data.depth  # so that what differs is the transport, not the queue
MEASURED = "measured"  # the frame_id of images that count
_S = 1_000_000_000
_IMAGES = 4  # different ones, so that no cache holds what is sent next
_WARM_UP_S = 1.0
_LAST_S = 0.5  # for images that are still on their way at the end
_PATIENCE_S = 30.0

Pixels = NDArray[np.uint8]
Publish = Callable[[Pixels, int, str], None]
Take = Callable[[Pixels, int, str], None]


def plain_publisher(node: Node, *, best_effort: bool) -> tuple[Publish, Callable[[], bool]]:
    """Publish as rclpy has it by default: as bytes, because an array takes a second to assign."""
    publisher = node.create_publisher(RosImage, TOPIC, qos_profile_sensor_data if best_effort else 10)

    def publish(pixels: Pixels, stamp_ns: int, frame_id: str) -> None:
        height, width, channels = pixels.shape
        message = RosImage(height=height, width=width, encoding="rgb8", step=width * channels)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, _S)
        message.header.frame_id = frame_id
        message.data = pixels.tobytes()
        publisher.publish(message)

    return publish, lambda: publisher.get_subscription_count() > 0


def plain_subscriber(node: Node, take: Take, *, best_effort: bool) -> Callable[[], None]:
    """Subscribe as rclpy has it by default, and return how to end that."""

    def on_image(message: RosImage) -> None:
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)
        stamp = message.header.stamp
        take(pixels, stamp.sec * _S + stamp.nanosec, message.header.frame_id)

    node.create_subscription(RosImage, TOPIC, on_image, qos_profile_sensor_data if best_effort else 10)
    return lambda: None  # it ends with its node


def our_publisher(node: Node, *, best_effort: bool) -> tuple[Publish, Callable[[], bool]]:
    """Publish through a sink."""
    output = Output(topic=TOPIC, type_name=TYPE)
    if best_effort:
        output = Output(topic=TOPIC, type_name=TYPE, reliability="best_effort", depth=_SENSOR_DEPTH)
    sink = RosSink(node, {"out": output})

    def publish(pixels: Pixels, stamp_ns: int, frame_id: str) -> None:
        sink.write(Message("out", Image(pixels, "rgb8"), Trace(stamp_ns), frame_id=frame_id))

    return publish, lambda: sink.wanted("out")


def our_subscriber(node: Node, take: Take, *, best_effort: bool) -> Callable[[], None]:
    """Subscribe through a source with its default settings, unless best effort is what is measured.

    Returns:
        How to end that: a thread that waits in C++ when the interpreter ends would abort the process.
    """
    config = Input(topic=TOPIC, type_name=TYPE)
    if best_effort:
        config = Input(topic=TOPIC, type_name=TYPE, reliability="best_effort", depth=_SENSOR_DEPTH)
    source = RosSource(node, "in", config, own_thread=True)
    source.start(lambda message: take(message.payload.data, message.trace.capture_ns, message.frame_id))
    return source.stop


def run_publisher(options: argparse.Namespace) -> dict[str, Any]:
    """Publish at a fixed rate: a warm-up, then the images that count."""
    node = rclpy.create_node("image_publisher")
    make = our_publisher if options.variant == "ours" else plain_publisher
    publish, matched = make(node, best_effort=options.best_effort)
    deadline_s = time.monotonic() + _PATIENCE_S
    while not matched():
        if time.monotonic() > deadline_s:
            raise TimeoutError("no subscriber")
        time.sleep(0.05)
    shape = (options.height, options.width, 3)
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, shape, dtype=np.uint8) for _ in range(_IMAGES)]
    period_s = 1.0 / options.rate_hz
    warm_up, total = int(_WARM_UP_S * options.rate_hz), int((_WARM_UP_S + options.seconds) * options.rate_hz)
    cpu_s = 0.0
    next_s = time.monotonic()
    for index in range(total):
        if index == warm_up:
            cpu_s = time.process_time()
        time.sleep(max(0.0, next_s - time.monotonic()))
        publish(images[index % _IMAGES], time.time_ns(), MEASURED if index >= warm_up else "")
        next_s += period_s
    cpu_s = time.process_time() - cpu_s
    time.sleep(_LAST_S)
    published = total - warm_up
    return {"published": published, "cpu_ms_per_image": 1e3 * cpu_s / published}


def run_subscriber(options: argparse.Namespace) -> dict[str, Any]:
    """Take images until standard input is closed."""
    node = rclpy.create_node("image_subscriber")
    latencies_ns: list[int] = []
    cpu_s: list[float] = []

    def take(pixels: Pixels, stamp_ns: int, frame_id: str) -> None:
        if frame_id == MEASURED:
            latencies_ns.append(time.time_ns() - stamp_ns)
            cpu_s.append(time.process_time())
        if pixels.shape != (options.height, options.width, 3):
            raise ValueError(f"expected {options.width}x{options.height}, got {pixels.shape}")

    make = our_subscriber if options.variant == "ours" else plain_subscriber
    end = make(node, take, best_effort=options.best_effort)
    done = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not done.is_set():
        executor.spin_once(timeout_sec=0.1)
    end()
    executor.shutdown()
    node.destroy_node()
    spent_s = cpu_s[-1] - cpu_s[0] if len(cpu_s) > 1 else float("nan")
    return {
        "received": len(latencies_ns),
        "latencies_ns": latencies_ns,
        "cpu_ms_per_image": 1e3 * spent_s / max(len(cpu_s) - 1, 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run one end and print what it measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["publisher", "subscriber"])
    parser.add_argument("--variant", choices=["plain", "ours"], required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--rate-hz", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--best-effort", action="store_true")
    options = parser.parse_args(argv)
    if options.variant == "ours":
        prepare_process()
    rclpy.init(args=[])
    try:
        result = (run_publisher if options.role == "publisher" else run_subscriber)(options)
    finally:
        rclpy.try_shutdown()
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
