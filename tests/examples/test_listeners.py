# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The listeners of examples/, on ROS and without, before one camera and one detector."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("vision_msgs")

sys.path.insert(0, str(Path(__file__).parent))

from workplace import Workplace

pytestmark = pytest.mark.ros

SHAPE = r"(disc|square|triangle|star|cross|ring|bar)"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, module_ros_domain_id: int) -> Iterator[Workplace]:
    """A workplace in which `lowlat up examples/zeromq.yaml` runs."""
    folder = tmp_path_factory.mktemp("listeners")
    ours = {"ROS_DOMAIN_ID": str(module_ros_domain_id), "ROS_LOG_DIR": str(folder / "log")}
    workplace = Workplace(folder, ours)
    with workplace.start(workplace.documented("zeromq_client.py", "lowlat up")) as up:
        yield workplace
        assert up.end(signal.SIGINT) == 0, up.lines


def without(workplace: Workplace, package: str) -> str:
    """Return a PYTHONPATH on which a package cannot be imported."""
    folder = workplace.folder / f"without_{package}"
    folder.mkdir(exist_ok=True)
    (folder / f"{package}.py").write_text(f"raise ImportError('this example must do without {package}')")
    return os.pathsep.join([str(folder), workplace.environment["PYTHONPATH"]])


def test_a_ros_node_that_knows_nothing_of_ours_hears_detections(running: Workplace) -> None:
    command = running.documented("detections_listener.py", "python3", "listener.py")
    with running.start(command, PYTHONPATH=without(running, "lowlat_nodes")) as listener:
        age_ms = float(listener.wait_for(rf"^(-?\d+) ms old: {SHAPE} \d\.\d\d at \(\d+, \d+\)")[1])
        assert 0.0 <= age_ms < 60e3
        assert listener.end(signal.SIGINT) == 0, listener.lines


def test_images_come_through_shared_memory(running: Workplace) -> None:
    command = running.documented("zeromq_client.py", "python3", "camera")
    with running.start(command, PYTHONPATH=without(running, "rclpy")) as client:
        client.wait_for(r"image 640x480 rgb8, mean \d+\.\d; .* [1-9]\d* through shared memory, \d+ not seen$")
        assert client.end(signal.SIGINT) == 0, client.lines


def test_detections_come_without_ros(running: Workplace) -> None:
    command = running.documented("zeromq_client.py", "python3", "detections")
    with running.start(command, PYTHONPATH=without(running, "rclpy")) as client:
        client.wait_for(rf"^\d+: detections: {SHAPE} \d\.\d\d")
        assert client.end(signal.SIGINT) == 0, client.lines


def test_pyzmq_and_msgpack_are_enough(running: Workplace) -> None:
    command = running.documented("zeromq_plain.py", "python3")
    with running.start(command, PYTHONPATH=without(running, "lowlat_nodes")) as client:
        sequence = client.wait_for(rf"^(\d+) detections \[\('{SHAPE}', \d\.\d+\)")[1]
        client.wait_for(rf"^{int(sequence) + 1} detections")
    images = [*command[:-2], running.documented("zeromq_client.py", "python3", "camera")[-2], "camera"]
    with running.start(images, PYTHONPATH=without(running, "lowlat_nodes")) as client:
        client.wait_for(re.escape("image rgb8 (480, 640, 3)"))
