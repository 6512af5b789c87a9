# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a process asks the kernel for, and what it says about the answer; each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.nodes.realtime import RealtimeConfig, apply, sleep_until
from lowlat_nodes.stream.errors import ConfigurationError

PROGRAM = """
import gc, json, os, resource, sys, threading
from pathlib import Path
from lowlat_nodes.nodes.realtime import RealtimeConfig, apply, set_nice

if sys.argv[2] == "unprivileged":
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 65534)
    set_nice(-20)  # not allowed: nothing happens
hold = threading.Event()
thread = threading.Thread(target=hold.wait, daemon=True)
thread.start()
granted = apply(RealtimeConfig(**json.loads(sys.argv[1])))
others = [int(task.name) for task in Path("/proc/self/task").iterdir() if int(task.name) != os.getpid()]
print(json.dumps({
    "granted": granted,
    "policy": os.sched_getscheduler(0) == os.SCHED_FIFO,
    "priority": os.sched_getparam(0).sched_priority,
    "others": [os.sched_getparam(thread).sched_priority for thread in others],
    "cpus": [sorted(os.sched_getaffinity(thread)) for thread in [0, *others]],
    "collects": gc.isenabled(),
    "frozen": gc.get_freeze_count() > 0,
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
}))
"""


def applied(privileges: str = "", **config: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(config), privileges],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def fifo_is_allowed() -> bool:
    check = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))"
    return subprocess.run([sys.executable, "-c", check], capture_output=True, check=False).returncode == 0


def test_no_priority_changes_nothing_but_the_garbage_collector() -> None:
    result = applied(priority=0, lock_memory=False)
    assert result["granted"] == "SCHED_OTHER"
    assert not result["policy"]
    assert result["frozen"]
    assert not result["collects"]


def test_the_thread_gets_its_priority_and_the_others_one_below() -> None:
    if not fifo_is_allowed():
        pytest.skip("this user may not use SCHED_FIFO")
    result = applied(priority=10, lock_memory=False)
    assert result["granted"] == "SCHED_FIFO 10"
    assert result["policy"]
    assert result["priority"] == 10
    assert set(result["others"]) == {9}
    assert set(applied(priority=1, lock_memory=False)["others"]) == {1}


def test_what_is_refused_is_said() -> None:
    result = applied("unprivileged", priority=10, lock_memory=False)
    assert result["granted"].startswith("SCHED_OTHER (FIFO refused: ")
    assert "rtprio" in result["granted"]
    assert not result["policy"]
    assert result["nice"] == os.getpriority(os.PRIO_PROCESS, 0)


def test_cores_can_be_chosen_for_all_threads() -> None:
    cpu = max(os.sched_getaffinity(0))
    assert applied(priority=0, lock_memory=False, cpus=[cpu])["cpus"] == [[cpu], [cpu]]


@pytest.mark.parametrize("cpus", [(-1,), (1 << 14,)])
def test_cores_that_are_not_there_are_refused(cpus: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"expected cores out of \[.*\], got \[.*\]"):
        apply(RealtimeConfig(cpus=cpus))


def test_a_sleep_does_not_end_early() -> None:
    for duration_ns in (-1_000_000, 0, 1_000, 3_000_000):
        deadline_ns = time.monotonic_ns() + duration_ns
        sleep_until(deadline_ns)
        assert time.monotonic_ns() >= deadline_ns
