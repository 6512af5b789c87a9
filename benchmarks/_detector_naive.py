# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector node as it is usually written: ONNX Runtime and rclpy as they come, one step after the other.

Images wait in a queue of ten, are taken apart by rclpy, letterboxed through fresh arrays, and each detection
becomes a message object. For graphs with the output [1, N, 6] in px of the network.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import onnxruntime
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose


class NaiveDetector(Node):
    """Subscribes to `image`, publishes `~/detections`."""

    def __init__(self, model: str, threshold: float, limit: int) -> None:
        super().__init__("naive_detector")
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.threshold, self.limit = threshold, limit
        self.publisher = self.create_publisher(Detection2DArray, "~/detections", 10)
        self.create_subscription(Image, "image", self.on_image, 10)

    def on_image(self, message: Image) -> None:
        frame = np.array(message.data, dtype=np.uint8).reshape(message.height, message.width, 3)
        tensor, ratio, left, top = self.letterbox(frame)
        rows = self.session.run(None, {self.input.name: tensor})[0][0]
        found = Detection2DArray(header=message.header)
        for x1, y1, x2, y2, score, label in rows[: self.limit]:
            if score < self.threshold:
                continue
            x1, x2 = (float(np.clip((x - left) / ratio, 0, message.width)) for x in (x1, x2))
            y1, y2 = (float(np.clip((y - top) / ratio, 0, message.height)) for y in (y1, y2))
            detection = Detection2D(header=message.header)
            detection.bbox.center.position.x = (x1 + x2) / 2
            detection.bbox.center.position.y = (y1 + y2) / 2
            detection.bbox.size_x = x2 - x1
            detection.bbox.size_y = y2 - y1
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = str(int(label))
            hypothesis.hypothesis.score = float(score)
            detection.results.append(hypothesis)
            found.detections.append(detection)
        self.publisher.publish(found)

    def letterbox(self, frame: Any) -> tuple[Any, float, int, int]:
        height, width = self.input.shape[2:]
        ratio = min(height / frame.shape[0], width / frame.shape[1])
        scaled = cv2.resize(frame, (round(frame.shape[1] * ratio), round(frame.shape[0] * ratio)))
        left, top = (width - scaled.shape[1]) // 2, (height - scaled.shape[0]) // 2
        bottom, right = height - scaled.shape[0] - top, width - scaled.shape[1] - left
        boxed = cv2.copyMakeBorder(
            scaled, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114)
        )
        tensor = np.ascontiguousarray(boxed.transpose(2, 0, 1))[None].astype(np.float32) / 255.0
        return tensor, ratio, left, top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--limit", type=int, required=True)
    options = parser.parse_args(argv)
    rclpy.init(args=[])
    node = NaiveDetector(options.model, options.threshold, options.limit)
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
