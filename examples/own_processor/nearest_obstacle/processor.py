# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A processor of our own: from laser scans to the nearest obstacle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.factory import ProcessorFactory
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor


@dataclass(frozen=True)
class NearestConfig:
    """What the processor can be told; a typo in a parameter is refused with the right name."""

    max_range_m: float = setting(10.0, doc="What is farther is no obstacle.", unit="m", low=0.01, high=1000.0)
    half_angle: float = setting(np.pi, doc="How far to each side it looks.", unit="rad", low=0.0, high=np.pi)


class NearestObstacle(Processor):
    """Says how far away the nearest obstacle is in m, and at which angle in rad; infinity if there is none.

    It knows no ROS: `message.payload` has the fields of sensor_msgs/LaserScan, whether a node, a replay or a
    test made it.
    """

    inputs = ("scan",)
    outputs = ("~/nearest",)

    def __init__(self, config: NearestConfig) -> None:
        self._config = config

    def process(self, message: Message) -> Sequence[Message]:
        """Return one result for each scan: float64 [2], range and angle."""
        scan, config = message.payload, self._config
        ranges = np.asarray(scan.ranges, np.float64)
        angles = scan.angle_min + scan.angle_increment * np.arange(ranges.size)
        seen = (ranges >= scan.range_min) & (ranges <= min(scan.range_max, config.max_range_m))
        seen &= np.abs(angles) <= config.half_angle
        if not seen.any():
            return [message.derive("~/nearest", np.array([np.inf, 0.0]))]
        nearest = np.argmin(np.where(seen, ranges, np.inf))
        return [message.derive("~/nearest", np.array([ranges[nearest], angles[nearest]]))]


# What the entry point in setup.py names.
make_nearest_obstacle = ProcessorFactory(NearestConfig, NearestObstacle)
