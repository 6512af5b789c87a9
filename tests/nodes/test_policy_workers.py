# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node with two processes that hold the policy: inferences overlap, and one may be lost."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")

from policy_rig import Rig, runs, workers
from sensor_msgs.msg import Image

from lowlat_nodes.nodes.diagnostics import Level

pytestmark = pytest.mark.ros

PARAMETERS = {
    "policy": {"workers": 2},
    "execution": {"strategy": "pipelined", "change_threshold": 40.0},
    "roll_forward": {"kind": "last_action"},
}


@pytest.fixture(scope="module")
def shared_rig(module_ros_domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(module_ros_domain_id, tmp_path_factory.mktemp("policy_workers"), PARAMETERS)
    yield made
    made.close()


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    """A node that moves its robot, with both workers."""
    shared_rig.until_moving()
    shared_rig.until(lambda: shared_rig.robot.count("workers") == 2, "two workers")
    return shared_rig


def test_an_inference_begins_before_the_one_before_it_has_ended(rig: Rig) -> None:
    def overlap() -> bool:
        inferences = sorted(rig.robot.inferences, key=lambda each: each["id"])
        return any(
            later["launched_ns"] < earlier["received_ns"]
            for earlier, later in itertools.pairwise(inferences)
            if later["id"] == earlier["id"] + 1
        )

    rig.until(overlap, "two inferences at a time")


def test_an_abrupt_change_of_the_scene_is_heard_of(rig: Rig) -> None:
    before = rig.robot.count("scene_changes")
    rig.until_counted("ticks", 50)
    assert rig.robot.count("scene_changes") == before

    def lit() -> Image:
        message = rig.robot.good_image()
        message.data = b"\xff" * len(message.data)
        return message

    rig.robot.image = lit
    rig.until_counted("scene_changes")
    rig.robot.image = rig.robot.good_image
    rig.until_counted("scene_changes")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_worker_is_replaced_and_the_other_goes_on(rig: Rig, number: signal.Signals) -> None:
    before, restarts = workers(rig.process.pid), rig.robot.count("worker_restarts")
    losses = rig.robot.count("policy_losses")
    lost, other = before
    os.kill(lost, number)
    rig.until(lambda: not runs(lost), "its end")
    inferences = rig.robot.count("inferences")
    rig.until(lambda: rig.robot.count("policy_losses") == losses + 1, "its loss")
    rig.until(lambda: rig.robot.count("inferences") > inferences, "answers of the other one")
    rig.until(lambda: rig.robot.count("worker_restarts") == restarts + 1, "a restart")
    rig.until(lambda: rig.robot.count("workers") == 2, "two workers")
    rig.until_moving()
    assert other in workers(rig.process.pid)
    assert len(workers(rig.process.pid)) == 2


def test_a_worker_that_is_missing_is_a_warning(rig: Rig) -> None:
    os.kill(workers(rig.process.pid).pop(), signal.SIGKILL)
    reason = "1 of 2 processes have no policy: the policy process ended with status -9"
    rig.until(lambda: rig.robot.status.message == reason, "a warning")
    assert rig.robot.status.level == bytes([Level.WARN])
    rig.until(lambda: rig.robot.count("workers") == 2, "two workers")
