# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One end of the images that `lowlat doctor` sends to itself: plain rclpy, best effort, as camera drivers do.

Each end prints `ready` and, when it is done, one line of JSON. The publisher begins, and the subscriber ends,
when its standard input closes.
"""

from __future__ import annotations

import argparse
import array
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import serialize_message
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image

from lowlat_nodes.nodes.child import die_with_parent
from lowlat_nodes.transport.ros.process import keep_output_clean

TOPIC = "/lowlat_doctor/image"
READY = "ready"
_PATIENCE_S = 5.0
_SETTLE_S = 0.2  # what was matched on one side a moment before the other
_LAST_S = 0.3  # for images that are still on their way


@dataclass(frozen=True)
class Size:
    """Images of one size and how they are sent."""

    name: str
    width: int
    height: int
    rate_hz: float
    count: int

    @property
    def bytes(self) -> int:
        """Size of the pixels."""
        return self.width * self.height * 3


SIZES = (Size("VGA", 640, 480, 30.0, 45), Size("1080p", 1920, 1080, 10.0, 15))


def publish(sizes: Sequence[Size]) -> dict[str, Any]:
    """Wait for the word and the subscriber, then send the images of each size at their rate."""
    node = rclpy.create_node("lowlat_doctor_publisher")
    publisher = node.create_publisher(Image, TOPIC, qos_profile_sensor_data)
    print(READY, flush=True)
    sys.stdin.read()
    deadline_s = time.monotonic() + _PATIENCE_S
    while not publisher.get_subscription_count() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    matched = publisher.get_subscription_count() > 0
    sent: Counter[str] = Counter()
    if matched:
        time.sleep(_SETTLE_S)
        for size in sizes:
            _send(publisher, size)
            sent[size.name] = size.count
        time.sleep(_LAST_S)
    node.destroy_node()
    return {"matched": matched, "sent": sent}


def _send(publisher: Any, size: Size) -> None:
    message = Image(height=size.height, width=size.width, encoding="rgb8", step=3 * size.width)
    message.data = array.array("B", bytes(size.bytes))  # of bytes, rclpy would look at each one
    data = serialize_message(message)
    next_s = time.monotonic()
    for _ in range(size.count):
        time.sleep(max(0.0, next_s - time.monotonic()))
        publisher.publish(data)
        next_s += 1.0 / size.rate_hz


def count() -> dict[str, Any]:
    """Count what arrives, by size, until standard input closes."""
    node = rclpy.create_node("lowlat_doctor_subscriber")
    received: Counter[str] = Counter()
    half = SIZES[-1].bytes // 2

    def take(data: bytes) -> None:
        received[SIZES[len(data) > half].name] += 1

    node.create_subscription(Image, TOPIC, take, qos_profile_sensor_data, raw=True)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print(READY, flush=True)
    done = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    while not done.is_set():
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()
    return {"received": received}


def main() -> int:
    """Run one end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["publisher", "caller", "subscriber"])
    parser.add_argument("parent", type=int, help="process to end with")
    options = parser.parse_args()
    die_with_parent(options.parent)
    keep_output_clean()
    rclpy.init(args=[])
    try:
        result = (
            count() if options.role == "subscriber" else publish(SIZES if options.role == "publisher" else ())
        )
        result |= {"rmw": get_rmw_implementation_identifier(), "names": [size.name for size in SIZES]}
    finally:
        rclpy.try_shutdown()
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
