# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Rights that are really refused and granted, and what the kernel says about cores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lowlat_nodes.cli.doctor import realtime
from lowlat_nodes.cli.doctor.finding import Level

Doctor = Callable[..., Any]


TRIAL = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))"


def test_fifo_is_refused_without_a_limit(doctor: Doctor) -> None:
    """In a user namespace CAP_SYS_NICE does not reach the kernel, whoever we are."""
    found = doctor("realtime", inside="true", limits=("--rtprio=0:0",))["SCHED_FIFO"]
    assert (found["level"], found["figures"]["granted"], found["figures"]["rtprio"]) == ("warning", False, 0)
    assert "Operation not permitted; RLIMIT_RTPRIO is 0" in found["found"]
    assert "rtprio" in found["mend"][0]


def test_it_says_what_any_process_gets(doctor: Doctor) -> None:
    granted = subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, check=False).returncode == 0
    found = doctor("realtime")["SCHED_FIFO"]
    assert (found["level"], found["figures"]["granted"]) == ("ok" if granted else "warning", granted), found


def test_memory_that_may_not_be_locked(doctor: Doctor) -> None:
    found = doctor("realtime", inside="true", limits=("--memlock=4096:4096",))["memory lock"]
    assert (found["level"], found["figures"]["locked"]) == ("warning", False)
    assert "memlock" in found["mend"][0]


@pytest.mark.parametrize(
    ("refused", "throttle", "container", "level", "command"),
    [
        ("", "950000", False, Level.OK, None),
        ("no", "950000", False, Level.WARNING, 'echo "$USER - rtprio 50" | sudo tee -a'),
        ("no", "950000", True, Level.WARNING, "docker run --cap-add=SYS_NICE --ulimit rtprio=50"),
        ("no", "0", False, Level.WARNING, "sudo sysctl -w kernel.sched_rt_runtime_us=950000"),
    ],
)
def test_fifo(refused: str, throttle: str, container: bool, level: Level, command: str | None) -> None:
    limits = {"rtprio": 0, "sys_nice": False}
    found = realtime.judge_fifo(refused, limits, throttle, container=container)
    assert found.level is level
    assert found.mend[0].startswith(command) if command else not found.mend


@pytest.mark.parametrize(
    ("runtime", "level"),
    [
        ("950000", Level.OK),
        ("-1", Level.NOTE),
        ("0", Level.PROBLEM),
        ("100000", Level.WARNING),
        ("", Level.NOTE),
    ],
)
def test_throttling(runtime: str, level: Level) -> None:
    assert realtime.judge_throttling(runtime, "1000000").level is level


@pytest.mark.parametrize(
    ("cpu_max", "level"),
    [("max 100000", Level.OK), ("", Level.OK), ("150000 100000", Level.WARNING)],
)
def test_quota(cpu_max: str, level: Level) -> None:
    found = realtime.judge_quota(cpu_max)
    assert found.level is level
    assert "1.50 cores in each 100 ms" in found.found or level is Level.OK


@pytest.mark.parametrize(
    ("governors", "level"),
    [
        ({}, Level.NOTE),
        ({"cpu0": "performance", "cpu1": "schedutil"}, Level.OK),
        ({"cpu0": "performance", "cpu1": "powersave"}, Level.WARNING),
    ],
)
def test_governors(governors: dict[str, str], level: Level) -> None:
    assert realtime.judge_governors(governors).level is level


@pytest.mark.parametrize(
    ("allowed", "isolated", "level"),
    [([0], "", Level.WARNING), ([0, 1], "", Level.OK), ([0, 1], "2-3", Level.NOTE)],
)
def test_cores(allowed: list[int], isolated: str, level: Level) -> None:
    assert realtime.judge_cores(4, allowed, isolated).level is level


def test_one_core_really(doctor: Doctor) -> None:
    found = doctor(
        "realtime", inside="taskset -pc $(taskset -pc $$ | sed 's/.*: *\\([0-9]*\\).*/\\1/') $$ >&2"
    )
    assert found["cores"]["level"] == "warning"
    assert len(found["cores"]["figures"]["allowed"]) == 1


@pytest.mark.parametrize(("active", "level"), [("1", Level.NOTE), ("0", Level.OK), ("", Level.OK)])
def test_threads_of_a_core(active: str, level: Level) -> None:
    assert realtime.judge_smt(active).level is level


@pytest.mark.parametrize(("flag", "level"), [("1", Level.OK), ("", Level.NOTE)])
def test_kernel(flag: str, level: Level) -> None:
    assert realtime.judge_kernel(flag).level is level
