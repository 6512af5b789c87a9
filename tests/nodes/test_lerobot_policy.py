# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node with a checkpoint in a process of its own: it moves, and holds and counts what goes wrong.

The process has a stand-in for LeRobot (tests/control/policies/lerobot_stand_in).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

sys.path.insert(0, str(Path(__file__).parents[1] / "control" / "policies"))

from lerobot_checkpoints import python_with_stand_in, write_checkpoint
from policy_rig import Rig, children, runs, until
from scripted_policy import HEIGHT, JOINTS, PERIOD_NS, WIDTH

pytestmark = [pytest.mark.ros, pytest.mark.torch]


@pytest.fixture(scope="module")
def shared_rig(module_ros_domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("lerobot_policy")
    images = {"observation.images.image": [3, HEIGHT, WIDTH]}
    lerobot = {
        "directory": str(write_checkpoint(folder / "checkpoint", joints=len(JOINTS), images=images)),
        "python": str(python_with_stand_in(folder)),
    }
    policy = {"kind": "lerobot", "action_period_ms": PERIOD_NS * 1e-6, "lerobot": lerobot}
    made = Rig(module_ros_domain_id, folder, {"policy": policy})
    yield made
    made.close()


def checkpoint_process(rig: Rig) -> int:
    """Return the process of the checkpoint, which the worker started."""
    worker = children(rig.process.pid)["policy_worker"]
    return int(Path(f"/proc/{worker}/task/{worker}/children").read_text())


@pytest.mark.parametrize(
    ("task", "counted", "reason"),
    [
        ("raise", "failures_server_error", "RuntimeError: CUDA out of memory"),
        ("nan", "failures_answer_refused", "expected finite actions, got NaN or infinity"),
        ("shape", "failures_server_error", f"expected actions of {len(JOINTS)} numbers"),
    ],
)
def test_what_is_wrong_is_counted_and_the_robot_held(rig: Rig, task: str, counted: str, reason: str) -> None:
    before = checkpoint_process(rig)
    rig.robot.set_task(task)
    rig.until_counted(counted, 3)
    rig.until_held()
    rig.until(lambda: reason in rig.robot.values["last_failure"], f"the failure {reason!r}")
    rig.robot.set_task("move")
    rig.until_moving()
    assert checkpoint_process(rig) == before


def test_a_checkpoint_that_dies_is_loaded_anew_by_the_same_worker(rig: Rig) -> None:
    worker, before = children(rig.process.pid)["policy_worker"], checkpoint_process(rig)
    os.kill(before, signal.SIGKILL)
    rig.until_counted("failures_server_gone", 2)
    rig.until_moving()
    assert children(rig.process.pid)["policy_worker"] == worker
    assert checkpoint_process(rig) != before


def test_a_checkpoint_that_hangs_is_replaced(rig: Rig) -> None:
    before = checkpoint_process(rig)
    rig.robot.set_task("hang")
    rig.until_held()
    until(lambda: not runs(before), "the end of the process that hangs")
    rig.robot.set_task("move")
    rig.until_moving()


def test_the_process_ends_with_a_worker_that_is_killed(rig: Rig) -> None:
    before = checkpoint_process(rig)
    os.kill(children(rig.process.pid)["policy_worker"], signal.SIGKILL)
    until(lambda: not runs(before), "the end of the process")
    rig.until_moving()
