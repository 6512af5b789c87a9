# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The worker and the tick as child processes: watched, replaced and ended, without a node around them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from policy_rig import PARAMETERS, children, merged, runs
from scripted_policy import HORIZON

from lowlat_nodes.nodes.policy.camera_server import CameraServer
from lowlat_nodes.nodes.policy.config import PolicyNodeConfig
from lowlat_nodes.nodes.policy.processes import PolicyProcesses, TickLostError, Wiring
from lowlat_nodes.stream.config import build
from lowlat_nodes.transport.ros.topics import Input

LOAD_TIMEOUT_MS = 15_000.0  # what loading takes on a busy machine, and what a test may wait

pytestmark = pytest.mark.ros

WIRING = Wiring("policy", "/", "/joint_states", "/commands", use_sim_time=False)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    path = tmp_path / "horizon.txt"
    path.write_text(str(HORIZON))
    return path


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def processes(model: Path, heard: list[str], robot: Any) -> Iterator[PolicyProcesses]:
    policy = {
        "factory": "scripted_policy:make_changing",
        "model": str(model),
        "load_timeout_ms": LOAD_TIMEOUT_MS,
    }
    config = build(PolicyNodeConfig, merged(PARAMETERS, {"policy": policy}))
    image = Input(topic="/image", type_name="sensor_msgs/msg/Image")
    cameras = CameraServer("policy_cameras", "/", {"image": image})
    made = PolicyProcesses(config, WIRING, cameras, lambda kind, _content: heard.append(kind))
    yield made
    kin = children(os.getpid())
    made.close()
    cameras.close()
    assert not any(map(runs, kin.values()))


def watch_until(processes: PolicyProcesses, condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened; {processes.workers[0].problem}"
        processes.watch()
        time.sleep(0.01)


def test_they_come_up_and_report(processes: PolicyProcesses, heard: list[str]) -> None:
    assert processes.spec.horizon == HORIZON
    assert processes.sched == "SCHED_OTHER"
    assert children(os.getpid()).keys() == {"policy_tick", "policy_worker"}
    watch_until(processes, lambda: "status" in heard)
    assert processes.workers[0].restarts == 0


def test_a_worker_that_died_is_replaced(processes: PolicyProcesses) -> None:
    os.kill(children(os.getpid())["policy_worker"], signal.SIGKILL)
    watch_until(processes, lambda: processes.workers[0].restarts == 1)
    assert processes.workers[0].problem == "the policy process ended with status -9"
    watch_until(processes, lambda: not processes.workers[0].problem)


def test_a_policy_that_has_become_another_one_is_not_let_in(processes: PolicyProcesses, model: Path) -> None:
    model.write_text(str(HORIZON + 1))
    os.kill(children(os.getpid())["policy_worker"], signal.SIGKILL)
    watch_until(processes, lambda: "another one than at configuration" in processes.workers[0].problem)
    model.write_text(str(HORIZON))
    watch_until(processes, lambda: not processes.workers[0].problem)
    assert processes.workers[0].restarts >= 2


@pytest.mark.slow
def test_a_policy_that_hangs_while_it_loads_is_replaced(processes: PolicyProcesses, model: Path) -> None:
    model.write_text("hang")
    os.kill(children(os.getpid())["policy_worker"], signal.SIGKILL)
    watch_until(processes, lambda: "not ready within 15 s" in processes.workers[0].problem)
    model.write_text(str(HORIZON))
    watch_until(processes, lambda: not processes.workers[0].problem)
    assert processes.workers[0].restarts == 2


def test_a_lost_tick_is_an_error(processes: PolicyProcesses) -> None:
    processes.tell("stop")
    os.kill(children(os.getpid())["policy_tick"], signal.SIGKILL)
    with pytest.raises(TickLostError, match="status -9"):
        watch_until(processes, lambda: False)
    with pytest.raises(TickLostError, match="told to stop"):
        processes.tell("stop")


def test_a_tick_that_hangs_is_told_nothing_more(processes: PolicyProcesses) -> None:
    os.kill(children(os.getpid())["policy_tick"], signal.SIGSTOP)

    def tell_on() -> None:
        for _ in range(1000):
            processes.tell("task", text="x" * 4096)

    with pytest.raises(TickLostError, match="told to task"):
        tell_on()
    with pytest.raises(TickLostError, match="said nothing for 5 s and was killed"):
        watch_until(processes, lambda: False)
