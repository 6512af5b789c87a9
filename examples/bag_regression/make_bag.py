# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes drive.mcap, 5 s of a laser scanner that passes a post on its way to a wall: `make_bag.py OUT`.

Yours is a recording of your robot: `lowlat record /scan -o drive.mcap --duration 5`.
"""

from __future__ import annotations

import sys

import numpy as np
from rosbags.typesys import Stores, get_typestore

from lowlat_nodes.transport.bag import BagWriter, MessageTypes

SCANS, RAYS, PERIOD_NS = 50, 181, 100_000_000
START_NS = 1_700_000_000_000_000_000
SCAN = "sensor_msgs/msg/LaserScan"


def main(path: str) -> None:
    """Write the bag; the same each time."""
    types = get_typestore(Stores.ROS2_JAZZY).types
    header, time = types["std_msgs/msg/Header"], types["builtin_interfaces/msg/Time"]
    random, angles = np.random.default_rng(7), np.linspace(-np.pi / 2, np.pi / 2, RAYS)
    known = MessageTypes()
    with BagWriter(path) as writer:
        for index in range(SCANS):
            stamp_ns = START_NS + index * PERIOD_NS
            driven_m = 0.1 * index
            ranges = (8.0 - driven_m) / np.cos(angles).clip(0.05)  # the wall
            post = np.hypot(3.0 - driven_m, 1.0), np.arctan2(1.0, 3.0 - driven_m)
            ranges[np.abs(angles - post[1]) < 0.05] = post[0]
            ranges += random.normal(0.0, 0.01, RAYS)
            message = types[SCAN](
                header(time(stamp_ns // 10**9, stamp_ns % 10**9), "laser"),
                angle_min=float(angles[0]),
                angle_max=float(angles[-1]),
                angle_increment=float(angles[1] - angles[0]),
                time_increment=0.0,
                scan_time=PERIOD_NS * 1e-9,
                range_min=0.1,
                range_max=30.0,
                ranges=ranges.astype(np.float32),
                intensities=np.empty(0, np.float32),
            )
            writer.write("/scan", SCAN, stamp_ns, known.encode(SCAN, message))


if __name__ == "__main__":
    main(sys.argv[1])
