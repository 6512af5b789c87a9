# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Both ends of an rclpy Image: what a user of plain rclpy can have, with our DDS profile or with none.

The publisher keeps one message and copies the pixels into its array, which is as quick as rclpy goes: what is
assigned to `data` is copied once more. The subscriber takes a NumPy view on the array of the message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image as RosImage

from lowlat_nodes.benchmarks._transport_cases import Case, Pixels
from lowlat_nodes.transport.ros import prepare_process

_S = 1_000_000_000
_DEPTH = 10


def _qos(*, reliable: bool) -> QoSProfile:
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=_DEPTH, reliability=reliability)


class RosPublisher:
    """Publishes images with rclpy."""

    endpoint = ""

    def __init__(self, topic: str, *, tuned: bool, reliable: bool) -> None:
        if tuned:
            prepare_process()
        rclpy.init(args=[])
        self._node = rclpy.create_node("publisher")
        self._publisher = self._node.create_publisher(RosImage, topic, _qos(reliable=reliable))

    def begin(self, case: Case) -> None:
        """Send messages of that case from now on."""
        height, width, channels = (*case.shape, 1)[:3] if len(case.shape) > 1 else (1, *case.shape, 1)
        self._image = RosImage(height=height, width=width, encoding=case.encoding, step=width * channels)
        self._image.data.frombytes(bytes(case.nbytes))
        self._pixels = np.frombuffer(self._image.data, np.uint8).reshape(case.shape)

    def prepare(self, pixels: Pixels) -> Pixels:
        """Return the array to publish, before its stamp is taken."""
        return pixels

    def publish(self, pixels: Pixels, stamp_ns: int) -> None:
        """Publish an array with a stamp."""
        stamp = self._image.header.stamp
        stamp.sec, stamp.nanosec = divmod(stamp_ns, _S)
        self._pixels[:] = pixels
        self._publisher.publish(self._image)

    def close(self) -> None:
        """Remove the shared memory."""
        rclpy.try_shutdown()


class RosSubscriber:
    """Takes images in a callback of rclpy."""

    def __init__(
        self, topic: str, take: Callable[[Pixels, int], None], *, tuned: bool, reliable: bool
    ) -> None:
        if tuned:
            prepare_process()
        rclpy.init(args=[])
        node = rclpy.create_node("subscriber")

        def on_image(message: RosImage) -> None:
            stamp = message.header.stamp
            take(np.frombuffer(message.data, np.uint8), stamp.sec * _S + stamp.nanosec)

        node.create_subscription(RosImage, topic, on_image, _qos(reliable=reliable))
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
