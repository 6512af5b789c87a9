# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A container's /dev/shm of 64 MB: large images still pass over ROS topics."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

MOUNTED = 'mount -t tmpfs -o size=64m lowlat /dev/shm && exec "$1" -c "$2" "$3"'

LISTENER = """
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from lowlat_nodes.transport.ros import prepare_process

prepare_process()
rclpy.init()
node = rclpy.create_node("listener")
heard = []
node.create_subscription(Image, "image", heard.append, qos_profile_sensor_data)
while not heard:
    rclpy.spin_once(node, timeout_sec=0.1)
rclpy.shutdown()
"""

ROS = """
import re, subprocess, sys, time
from pathlib import Path
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from lowlat_nodes.transport.ros import prepare_process

prepare_process()
listener = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
rclpy.init()
node = rclpy.create_node("talker")
publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
image = Image(height=1080, width=1920, step=5760, encoding="bgr8", data=bytes(1080 * 5760))
while listener.poll() is None:
    publisher.publish(image)
    time.sleep(0.1)
is_segment = re.compile("(fastrtps|fastdds)_[0-9a-f]{16}").fullmatch
files = [file for file in Path("/dev/shm").iterdir() if is_segment(file.name)]
print(listener.returncode, max(file.stat().st_size >> 20 for file in files))
rclpy.shutdown()
"""


def in_a_container(program: str, argument: str = "") -> subprocess.CompletedProcess[str]:
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = [*namespace, "sh", "-c", MOUNTED, "sh", sys.executable, program, argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"mounting a small file system is not permitted: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.ros
def test_fast_dds_has_segments_that_an_image_fits_into(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "RMW_IMPLEMENTATION"):
        monkeypatch.delenv(name, raising=False)
    done = in_a_container(ROS, LISTENER)
    assert done.stdout == "0 8\n", done.stderr
    assert "Failed to create segment" not in done.stderr
    assert "Fast DDS gets segments of 8 MB" in done.stderr
