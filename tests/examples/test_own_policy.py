# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""examples/own_policy: drives the simulated arm by its task, and says the same of a recording each time."""

from __future__ import annotations

import re
import signal
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import JointState

pytestmark = [pytest.mark.ros, pytest.mark.sim]

PAGE = "own_policy/README.md"
STRETCHED, FOLDED = (0.6, 0.2, 0.2), (1.4, 1.6, 1.2)


def test_the_arm_takes_the_pose_of_the_task_and_a_replay_says_the_same_twice(
    workplace: Any, robot: Any
) -> None:
    workplace.on_path(str(workplace.folder / "examples" / "own_policy"))
    states: list[JointState] = []
    robot.node.create_subscription(JointState, "joint_states", states.append, 1)

    def arrived(pose: tuple[float, ...]) -> bool:
        return bool(states) and np.allclose(states[-1].position, pose, atol=0.05)

    command = workplace.documented(PAGE, "lowlat record")
    command = command[: command.index("--duration")]  # until it has come to where it should
    with workplace.start(workplace.documented(PAGE, "lowlat up")) as up:
        robot.until(lambda: arrived(STRETCHED))
        with workplace.start(command) as recording:
            recording.wait_for("/joint_states")
            with workplace.start(workplace.documented(PAGE, "python3")) as said:
                robot.until(lambda: arrived(FOLDED))
                assert said.end(signal.SIGINT) == 0, said.lines
            assert recording.end(signal.SIGINT) == 0, recording.lines
        assert up.end(signal.SIGINT) == 0, up.lines
    for end in ("--out commands.mcap", "--check commands.mcap"):
        run = workplace.run(workplace.documented(PAGE, "lowlat replay", end))
        assert run.returncode == 0, run.stderr
    assert re.search(r"^equal to commands.mcap \([1-9]\d+ messages compared\)$", run.stdout, re.MULTILINE)
