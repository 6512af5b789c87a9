# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node with a corrector: a bright image lifts the commands of a policy that would stand still."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("rclpy")

from corrector_file import write_corrector
from policy_rig import Rig, children, runs
from scripted_policy import HEIGHT, HORIZON, JOINTS, PERIOD_NS, WIDTH

from lowlat_nodes.nodes.diagnostics import Level

pytestmark = pytest.mark.ros

LIFT = 0.2  # rad


def parameters(folder: Path, gain: float) -> dict[str, Any]:
    """Return those of a policy that answers with zeros at once, and a corrector."""
    horizon = folder / "horizon.txt"
    horizon.write_text(str(HORIZON))
    metadata = {"joint_names": ",".join(JOINTS), "action_dt_ns": str(PERIOD_NS)}
    model = write_corrector(folder / "c.onnx", image=("image", HEIGHT, WIDTH), gain=gain, metadata=metadata)
    return {
        "policy": {"factory": "scripted_policy:make_changing", "model": str(horizon)},
        "execution": {"strategy": "a2c2"},
        "corrector": {"model": str(model), "timeout_ms": 200.0},
        "limits": {"velocity": [100.0], "acceleration": [1e5]},
    }


@pytest.fixture(scope="module")
def shared_rig(module_ros_domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("policy_corrector")
    made = Rig(module_ros_domain_id, folder, parameters(folder, LIFT))
    with_velocities(made)
    yield made
    made.close()


def with_velocities(rig: Rig) -> None:
    robot, joints = rig.robot, rig.robot.good_joints

    def make() -> Any:
        message = joints()
        message.velocity = [0.0] * len(message.name)
        return message

    robot.joints = make


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """A node whose corrector works, with the light on."""
    shine(shared_rig, 255)
    until_at(shared_rig, LIFT)
    yield shared_rig
    shine(shared_rig, 0)


def shine(rig: Rig, level: int) -> None:
    def make() -> Any:
        message = rig.robot.good_image()
        message.data = bytes([level]) * len(message.data)
        return message

    rig.robot.image = make


def until_at(rig: Rig, position: float) -> None:
    def there() -> bool:
        commands = [list(command.data) for command in rig.robot.commands[-3:]]
        return commands == [pytest.approx([position] * 2, abs=1e-5)] * 3

    del rig.robot.commands[:]
    rig.until(there, f"commands at {position}")


def corrector(rig: Rig) -> int:
    return children(rig.process.pid)["policy_corrector"]


def test_what_the_camera_sees_reaches_the_commands(rig: Rig) -> None:
    shine(rig, 0)
    until_at(rig, 0.0)
    shine(rig, 255)
    until_at(rig, LIFT)
    rig.until_counted("ticks_corrected", 10)

    def told() -> bool:
        values = rig.robot.values
        return values["corrector"] == "running" and "correction_age_p50_ms" in values

    rig.until(told, "the figures of corrections")
    rig.until(lambda: float(rig.robot.values["correction_p50_ms"]) > 0.0, "how long a correction takes")


def test_a_killed_corrector_comes_back_and_the_robot_goes_on_meanwhile(rig: Rig) -> None:
    killed, restarts = corrector(rig), rig.robot.count("corrector_restarts")
    worker = children(rig.process.pid)["policy_worker"]
    os.kill(killed, signal.SIGKILL)
    until_at(rig, 0.0)
    until_at(rig, LIFT)
    assert rig.robot.values["served"] == "chunk"
    rig.until(lambda: rig.robot.count("corrector_restarts") == restarts + 1, "a restart")
    rig.until(lambda: rig.robot.count("corrector_losses") > 0, "a loss")
    assert children(rig.process.pid)["policy_worker"] == worker


def test_a_corrector_that_hangs_is_replaced(rig: Rig) -> None:
    hung = corrector(rig)
    os.kill(hung, signal.SIGSTOP)
    until_at(rig, 0.0)
    rig.until(
        lambda: rig.robot.status.message == "plan not corrected: the corrector did not answer for 2000 ms",
        "a warning",
    )
    assert rig.robot.status.level == bytes([Level.WARN])
    rig.until(lambda: not runs(hung), "its end")
    until_at(rig, LIFT)


def test_without_images_the_plan_is_not_corrected(rig: Rig) -> None:
    rig.robot.image = lambda: None
    rig.until_counted("failures_corrector_image_stale", 3)
    shine(rig, 255)
    until_at(rig, LIFT)


def test_an_image_that_does_not_fit_is_refused(rig: Rig) -> None:
    rig.robot.image = lambda: rig.robot.good_image(encoding="bgr8")
    rig.until_counted("images_refused", 3)
    rig.until(lambda: f"expected {WIDTH}x{HEIGHT} rgb8" in rig.robot.values["last_failure"], "the reason")


@pytest.fixture
def start(ros_domain_id: int, tmp_path: Path) -> Iterator[Callable[[float], Rig]]:
    """Starts a node whose corrector has a gain."""
    started: list[Rig] = []

    def make(gain: float) -> Rig:
        started.append(Rig(ros_domain_id, tmp_path, parameters(tmp_path, gain)))
        with_velocities(started[-1])
        return started[-1]

    yield make
    for each in started:
        each.close()


def test_corrections_that_are_not_finite_are_counted_and_left_out(start: Callable[[float], Rig]) -> None:
    rig = start(math.nan)
    shine(rig, 255)
    rig.until_counted("corrections_not_finite", 5)
    until_at(rig, 0.0)
    rig.until(lambda: "corrections_not_finite" in rig.robot.status.message, "a warning")
    assert rig.robot.count("ticks_corrected") == 0
    assert rig.end() == 0
    assert "Traceback" not in rig.output
