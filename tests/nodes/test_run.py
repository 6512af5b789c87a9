# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes: how they start, how signals end them, and with which exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from lifecycle_msgs.srv import GetState

pytestmark = pytest.mark.ros

PROGRAM = Path(__file__).with_name("amplifier_node.py")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(ros_domain_id: int) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*ros_args: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAM), "--ros-args", *ros_args]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_for_state(robot: Any, label: str) -> None:
    request = GetState.Request()
    robot.spin_until(
        lambda: robot.call(GetState, "/amplifier/get_state", request).current_state.label == label
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_active_node_cleanly(robot: Any, start: Start, number: signal.Signals) -> None:
    process = start()
    wait_for_state(robot, "active")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_repeated_signals_end_it_no_less_cleanly(robot: Any, start: Start) -> None:
    process = start()
    wait_for_state(robot, "active")
    deadline = time.monotonic() + 60.0
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_without_autostart_the_node_waits_for_a_manager(robot: Any, start: Start) -> None:
    process = start("-p", "autostart:=false")
    wait_for_state(robot, "unconfigured")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("ros_args", "reason"),
    [
        (("-p", "gian:=3.0"), "there is no parameter 'gian'; did you mean 'gain'?"),
        (("-p", "model:=missing"), "expected a model, got none"),
        (("--params-file", "no_such_file.yaml"), "no_such_file.yaml"),
    ],
)
def test_a_start_that_is_refused_says_why_and_exits_78(
    start: Start, ros_args: tuple[str, ...], reason: str
) -> None:
    process = start(*ros_args)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == os.EX_CONFIG
    assert reason in errors
    assert "Traceback" not in errors


def test_a_node_that_ends_leaves_no_shared_memory(robot: Any, start: Start) -> None:
    # Fast DDS keeps the first profile of a process, so this one may have a large segment as well.
    others = set(Path("/dev/shm").glob("fast*"))
    process = start()
    wait_for_state(robot, "active")
    maps = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
    mapped = {Path(line.split()[-1]) for line in maps.splitlines() if "/dev/shm/fast" in line}
    own = [path for path in mapped - others if path.exists() and path.stat().st_size > 1 << 25]
    assert own, "the profile of the package gives a node more shared memory than this"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert not [segment for segment in own if segment.exists()]
