# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images that `lowlat doctor` sends to itself, and what it makes of those that are lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lowlat_nodes.cli.doctor import dds
from lowlat_nodes.cli.doctor.dds import Size, Trial
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, Level

PATIENCE_S = 120.0
RMW = "rmw_fastrtps_cpp"
WHOLE = Trial(RMW, True, (Size("VGA", 45, 45), Size("1080p", 15, 15)))
HALF = Trial(RMW, True, (Size("VGA", 45, 20), Size("1080p", 15, 15)))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    """Send images with as much time as a loaded machine needs."""
    monkeypatch.setattr(dds, "_LONGEST_S", PATIENCE_S)

    def look(**environment: str) -> dict[str, Finding]:
        examination = Examination({**os.environ, **environment}, ends_s=time.monotonic() + 2 * PATIENCE_S)
        return {each.about: each for each in dds.check(examination)}

    return look


@pytest.mark.ros
def test_images_arrive_with_our_profile(patient: Callable[..., dict[str, Finding]]) -> None:
    found = patient(ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", **dds.tuned_environment({}))
    assert found["discovery"].level is Level.OK
    figures = found["images"].figures
    assert figures["chosen"] is True
    counted = figures["environment"]
    assert isinstance(counted, dict)
    assert {name: sent for name, (sent, _) in counted.items()} == {"VGA": 45, "1080p": 15}
    # How many of them arrive is a matter of how busy this machine is.
    assert all(0 < received <= sent for sent, received in counted.values())


@pytest.mark.ros
def test_nobody_hears_of_anybody(patient: Callable[..., dict[str, Finding]]) -> None:
    found = patient(ROS_AUTOMATIC_DISCOVERY_RANGE="OFF")["discovery"]
    assert found.level is Level.PROBLEM
    assert "did not hear of each other by multicast; over the loopback they do" in found.found


@pytest.mark.ros
def test_what_takes_too_long_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dds, "_LONGEST_S", 0.0)
    [found] = dds.check(Examination(os.environ))
    assert (found.level, "took longer than a check may take" in found.found) == (Level.WARNING, True)


@pytest.mark.ros
def test_a_middleware_that_is_none(patient: Callable[..., dict[str, Finding]]) -> None:
    found = patient(RMW_IMPLEMENTATION="nonsense")["images"]
    assert found.level is Level.PROBLEM
    assert "Nothing could be sent" in found.found
    assert "nonsense" in found.found


@pytest.mark.ros
def test_its_processes_end_with_it() -> None:
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "doctor", "--only", "dds"]
    environment = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        deadline_s = time.monotonic() + PATIENCE_S
        children: set[int] = set()
        while len(children) < 2 and time.monotonic() < deadline_s:
            children |= {child for child in children_of(process.pid) if "image_probe" in command_of(child)}
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert len(children) == 2
    while any("image_probe" in command_of(child) for child in children):
        assert time.monotonic() < deadline_s, "they live on"
        time.sleep(0.02)


def children_of(pid: int) -> set[int]:
    return set(map(int, read(Path(f"/proc/{pid}/task/{pid}/children")).split()))


def command_of(pid: int) -> str:
    return read(Path(f"/proc/{pid}/cmdline"))


def read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.parametrize(
    ("plain", "tuned", "chosen", "level", "words"),
    [
        (WHOLE, None, False, Level.OK, "45 of 45 VGA images, 15 of 15 1080p images arrived"),
        (HALF, WHOLE, False, Level.WARNING, "camera drivers started from this shell go without"),
        (HALF, WHOLE, True, Level.PROBLEM, "hold for our nodes too"),
        (HALF, HALF, False, Level.PROBLEM, "/dev/shm is too small, or this machine is too busy"),
        (HALF, Trial(), False, Level.PROBLEM, "with our profile, none"),
        (HALF, None, False, Level.WARNING, "less over ZeroMQ"),
    ],
)
def test_loss(plain: Trial, tuned: Trial | None, chosen: bool, level: Level, words: str) -> None:
    found = dds.judge_loss(plain, tuned, chosen=chosen)
    assert (found.level, words in found.found) == (level, True), found.found


def test_the_command_names_the_profile() -> None:
    command = dds.judge_loss(HALF, WHOLE, chosen=False).mend[0]
    profile = command.rpartition("=")[2]
    assert command.startswith("export FASTRTPS_DEFAULT_PROFILES_FILE=")
    assert Path(profile).name == "fastdds_shm.xml"
    assert Path(profile).is_file()


def test_a_few_that_are_lost_are_excused() -> None:
    assert not Trial(RMW, True, (Size("VGA", 45, 43),)).loses
    assert Trial(RMW, True, (Size("VGA", 45, 42),)).loses
    assert Size("none", 0, 0).lost == 1.0


@pytest.mark.parametrize(
    ("near", "words"),
    [(WHOLE, "over the loopback they do"), (Trial(RMW), "neither"), (None, "neither")],
)
def test_discovery(near: Trial | None, words: str) -> None:
    found = dds.judge_discovery(near)
    assert (found.level, words in found.found) == (Level.PROBLEM, True)


def test_a_domain_of_its_own() -> None:
    first = dds.free_domain(set())
    port = 7400 + 250 * first
    second = dds.free_domain({port + 11})
    assert first != second
    assert dds.free_domain(set(range(65536))) in range(20, 100)  # all in use: any of them, and it may work


def test_no_images() -> None:
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", "doctor", "--only", "dds", "--no-dds"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "None were sent, as --no-dds says." in done.stdout
