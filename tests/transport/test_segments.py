# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Only segments whose owner is dead are removed; those of living processes keep working."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowlat_nodes.transport import segments
from lowlat_nodes.transport.abandoned import FOLDER, Reaped

SEGMENT = "fastrtps_00112233aabbccdd"

PARTICIPANT = """
import sys, time, rclpy
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node(sys.argv[1])
if sys.argv[1] == "talker":
    publisher = node.create_publisher(String, "words", 1)
    node.create_timer(0.05, lambda: publisher.publish(String(data="x" * 1000)))
else:
    node.create_subscription(String, "words", lambda message: print("heard", flush=True), 1)
print("ready", flush=True)
rclpy.spin(node)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files count as old enough."""
    monkeypatch.setattr(segments, "_YOUNG_S", -1.0)
    return tmp_path


def make(folder: Path, name: str, lock: str = "_el", *, size: int = 1000) -> Path:
    """Make a segment or port as Fast DDS does and return its lock file."""
    (folder / name).write_bytes(bytes(size))
    if "port" in name:
        (folder / f"sem.{name}_mutex").write_bytes(bytes(32))
    lock_file = folder / (name + lock)
    lock_file.touch()
    return lock_file


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name", [SEGMENT, "fastdds_00112233aabbccdd", "fastrtps_port7412", "fastdds_port22661"]
)
@pytest.mark.parametrize("lock", ["_el", "_sl"])
def test_what_nobody_holds_is_removed(folder: Path, name: str, lock: str) -> None:
    make(folder, name, lock)
    reaped = segments.reap(folder)
    assert names(folder) == set()
    assert (reaped.segments, reaped.size) == (1, 1032 if "port" in name else 1000)


@pytest.mark.parametrize("operation", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_what_somebody_holds_is_left_alone(folder: Path, operation: int) -> None:
    lock_file = make(folder, SEGMENT)
    with lock_file.open() as held:
        fcntl.flock(held, operation)
        assert segments.reap(folder).segments == 0
        assert names(folder) == {SEGMENT, SEGMENT + "_el"}
    assert segments.reap(folder).segments == 1


def test_what_was_just_made_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_YOUNG_S", 3600.0)
    make(tmp_path, SEGMENT)
    assert segments.reap(tmp_path).segments == 0
    assert len(names(tmp_path)) == 2


def test_other_files_are_left_alone(folder: Path) -> None:
    others = {
        "lttng-ust-wait-6", "sem.other", "fastrtps_port7412", "fastrtps_0011_el", "my_el", "psm_1234",
        "xfastrtps_00112233aabbccdd_el", "fastrtps_00112233aabbccdd_el.bak",
    }  # fmt: skip
    for name in others:
        (folder / name).touch()
    (folder / "fastrtps_ffffffffffffffff_el").symlink_to(folder / "my_el")
    assert segments.reap(folder).segments == 0
    assert names(folder) == others | {"fastrtps_ffffffffffffffff_el"}


def test_a_machine_without_shared_memory_has_nothing_to_remove(tmp_path: Path) -> None:
    assert segments.reap(tmp_path / "missing") == Reaped(0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_files_of_other_users_are_left_alone(folder: Path) -> None:
    os.chown(make(folder, SEGMENT), 12345, 12345)
    assert segments.reap(folder).segments == 0
    assert len(names(folder)) == 2


@pytest.fixture
def participants() -> Iterator[dict[str, subprocess.Popen[str]]]:
    running: dict[str, subprocess.Popen[str]] = {}
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


def start(name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARTICIPANT, name],
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    assert says(process, "ready")
    return process


def says(process: subprocess.Popen[str], word: str) -> bool:
    """Read until a process says a word, whatever Fast DDS logs before; false if it ends first."""
    assert process.stdout is not None
    return f"{word}\n" in process.stdout


def segments_of(pid: int) -> set[Path]:
    """Return the segments whose lock file a process holds; ports may be taken over by others at any time."""
    targets = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            targets.append(descriptor.readlink())
    names = {target.name for target in targets if target.parent == FOLDER}
    return {FOLDER / name[:-3] for name in names if re.fullmatch(r"fast\w+_[0-9a-f]{16}_el", name)}


@pytest.mark.ros
def test_the_dead_are_removed_and_the_living_go_on_talking(
    participants: dict[str, subprocess.Popen[str]],
) -> None:
    participants["talker"] = talker = start("talker")
    participants["listener"] = listener = start("listener")
    participants["victim"] = victim = start("victim")
    assert says(listener, "heard")
    dead, living = segments_of(victim.pid), segments_of(talker.pid) | segments_of(listener.pid)
    assert dead
    assert living
    youngest = max(path.stat().st_ctime for path in dead | living)
    while time.time() - youngest < segments._YOUNG_S + 0.5:
        time.sleep(0.1)

    assert victim.poll() is None
    segments.reap()
    assert all(path.exists() for path in dead | living), "all three live"

    victim.send_signal(signal.SIGKILL)
    victim.wait()
    deadline = time.monotonic() + 60.0
    while any(path.exists() for path in dead):  # other tests reap too, and hold its lock meanwhile
        assert time.monotonic() < deadline, "the segment of the dead is still there"
        segments.reap()
        time.sleep(0.01)
    assert all(path.exists() for path in living)

    # The next participant takes over the ports of the dead one, and everybody hears the talker.
    participants["again"] = again = start("again")
    assert says(again, "heard")
    assert says(listener, "heard")
