# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints what a detector node finds. It needs ROS (rclpy, vision_msgs) and nothing of lowlat_nodes.

lowlat up examples/zeromq.yaml              # in one terminal: a simulated camera and the detector
python3 examples/detections_listener.py     # in another
python3 examples/detections_listener.py --ros-args -p topic:=/my_detector/front/detections
"""

import contextlib

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection2DArray


class Listener(Node):
    """Subscribes as the detector publishes: reliable, the newest message only."""

    def __init__(self) -> None:
        super().__init__("detections_listener")
        self.declare_parameter("topic", "/detector_node/camera/detections")
        topic = self.get_parameter("topic").value
        self.create_subscription(Detection2DArray, topic, self.on_detections, QoSProfile(depth=1))

    def on_detections(self, message: Detection2DArray) -> None:
        """Print one line for each image; stamp and frame of the message are those of the image."""
        age_ms = (self.get_clock().now() - rclpy.time.Time.from_msg(message.header.stamp)).nanoseconds / 1e6
        words = []
        for detection in message.detections:
            best, box = detection.results[0].hypothesis, detection.bbox  # results fall by score
            centre = box.center.position
            words.append(f"{best.class_id} {best.score:.2f} at ({centre.x:.0f}, {centre.y:.0f})")
        print(f"{age_ms:.0f} ms old: {', '.join(words) or 'nothing'}", flush=True)


rclpy.init()
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):  # Ctrl-C is how it ends
    rclpy.spin(Listener())
