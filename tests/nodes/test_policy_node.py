# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy node with all its processes over DDS: what it does, and what it does when something is wrong."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from pages import counted, pages
from policy_rig import Rig, S, children, merged, runs, until
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from scripted_policy import HEIGHT, JOINTS, WIDTH
from sensor_msgs.msg import JointState

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures, MeterFigures, NodeFigures
from lowlat_nodes.energy.folder import energy_folder
from lowlat_nodes.nodes.diagnostics import Level
from lowlat_nodes.stream.meter import Kind

pytestmark = pytest.mark.ros

Start = Callable[..., Rig]

PROCESSES = {"policy_tick", "policy_worker"}


@pytest.fixture(scope="module")
def shared_rig(module_ros_domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(module_ros_domain_id, tmp_path_factory.mktemp("policy_node"))
    yield made
    made.close()


@pytest.fixture
def start(ros_domain_id: int, tmp_path: Path) -> Iterator[Start]:
    """Starts a node for one test, with other parameters."""
    started: list[Rig] = []

    def make(changes: dict[str, Any] | None = None, **options: Any) -> Rig:
        started.append(Rig(ros_domain_id, tmp_path, changes, **options))
        return started[-1]

    yield make
    for each in started:
        each.close()


def test_it_reports_what_it_does(rig: Rig) -> None:
    assert rig.robot.values["reports_lost"] == "0"
    names = ("tick_late", "publish_late", "state_age", "inference", "observation_age")

    def healthy() -> bool:
        status = rig.robot.status  # one report: the next may warn that the machine was busy
        values = {item.key: item.value for item in status.values}
        if status.message != "running" or not all(f"{name}_max_ms" in values for name in names):
            return False
        assert status.level == bytes([Level.OK])
        assert values["state"] == "active"
        assert values["sched"] == "SCHED_OTHER"
        assert int(values["inferences"]) > 0
        assert int(values["guard.calls"]) > 0
        assert values["guard.unit"] == "ms"
        assert (values["launch.submit_us"], values["launch.device_us"]) == ("40", "9000")
        assert values["launch.bound"] == "gpu"
        assert float(values["guard.mean"]) >= 50.0
        for name in names:
            assert float(values[f"{name}_p50_ms"]) <= float(values[f"{name}_max_ms"])
        return True

    rig.until(healthy, "a healthy report with all figures")

    def in_order() -> bool:
        """The image may be one that came after the question, where the policy had to wait for a core."""
        return any(item["observed_ns"] <= item["launched_ns"] for item in rig.robot.inferences)

    rig.until(in_order, "the report of an inference")
    for item in list(rig.robot.inferences):
        assert max(item["observed_ns"], item["launched_ns"]) < item["received_ns"]
        assert item["inference_ms"] >= 50.0


def test_a_budget_makes_inferences_rarer_and_cheaper_and_never_the_ticks(start: Start) -> None:
    rig = start(
        {
            "energy": {"budget": {"w": 1.0}},
            "policy": {"factory": "scripted_policy:make_stepped"},
            "cheaper_steps": [1],
        }
    )
    rig.until_moving()
    board = Board(energy_folder())
    meter = MeterFigures(
        "simulated", "cpu", ("cpu",), "", "simulated", Kind.MEASURED, 0.1, 0.001, 20.0, 100.0, 1.0, 10.0,
        80.0, 10.0, 0.0, 0.0,
    )  # fmt: skip
    node = NodeFigures("/policy_node", "chunk", 100, 10.0, 5.0, math.nan, {meter.name: 20.0}, {}, ())
    number = 0

    def rarer() -> bool:
        nonlocal number
        number += 1
        board.publish(Figures("host", number, time.monotonic_ns(), 1.0, (meter,), (), (node,)))
        launches = [item["launched_ns"] for item in rig.robot.inferences[-6:]]
        return "at most" in rig.robot.values.get("energy.budget", "") and min(np.diff(launches)) > 0.2 * S

    rig.until(rarer, "rare inferences")
    dear_ms = rig.robot.inferences[-1]["inference_ms"]
    assert dear_ms >= 200.0
    rig.until(lambda: rarer() and rig.robot.inferences[-1]["inference_ms"] < 150.0, "fewer steps")
    assert "model 2 of 2" in rig.robot.values["energy.budget"]
    rig.until_moving()
    board.withdraw()


def test_its_processes_count_as_one_node_for_the_energy_sampler(rig: Rig) -> None:
    folder = Path(os.environ["LOWLAT_ENERGY_DIR"])
    family = {rig.process.pid, *children(rig.process.pid).values()}

    def finished() -> int:
        return sum(done for _, done in counted(folder, "/policy_node").values())

    before = finished()
    rig.until(lambda: finished() > before + 3, "counts of inferences")
    mine = [page for page in pages(folder) if page.processes and page.processes[0].pid in family]
    assert {page.processes[0].pid for page in mine} == family
    assert {(page.node, page.unit) for page in mine} == {("/policy_node", "chunk")}
    assert float(rig.robot.values["ticks_of_chunks"]) > 0
    assert rig.robot.values["energy.unit"] == "chunk"


def test_a_killed_policy_comes_back_and_the_robot_moves_on(rig: Rig) -> None:
    kin = children(rig.process.pid)
    losses, restarts = rig.robot.count("policy_losses"), rig.robot.count("worker_restarts")
    misses = rig.robot.count("misses")
    stalls = rig.robot.count("stalled_ticks")
    os.kill(kin["policy_worker"], signal.SIGKILL)
    rig.until(lambda: rig.robot.count("worker_restarts") == restarts + 1, "a restart")
    rig.until(lambda: rig.robot.count("policy_losses") == losses + 1, "the loss of the policy")
    # Its chunk ran out before it was back: the miss policy answered the ticks in between.
    rig.until(lambda: rig.robot.count("misses") > misses, "a miss")
    assert rig.robot.count("stalled_ticks") > stalls
    rig.until_moving()
    assert children(rig.process.pid)["policy_worker"] != kin["policy_worker"]
    assert children(rig.process.pid)["policy_tick"] == kin["policy_tick"]


def test_a_policy_that_hangs_is_replaced(rig: Rig) -> None:
    worker = children(rig.process.pid)["policy_worker"]
    rig.robot.set_task("hang")
    rig.until(lambda: not runs(worker), "the end of the policy's process")
    rig.until_held()
    rig.robot.set_task("move")
    rig.until_moving()
    assert "an inference took longer than 3000 ms" in rig.output or rig.robot.count("worker_restarts")


@pytest.mark.parametrize(
    ("task", "counted", "reason"),
    [
        ("raise", "failures_policy_error", "policy: ValueError: the camera shows a cat"),
        ("shape", "failures_policy_error", "expected float64 actions of shape (10, 2), got float64 (10, 1)"),
        ("nan", "chunks_not_finite", ""),
    ],
)
def test_a_policy_that_fails_is_counted_and_asked_again(
    rig: Rig, task: str, counted: str, reason: str
) -> None:
    rig.robot.set_task(task)
    rig.until_counted(counted, 3)
    rig.until_held()
    rig.until(lambda: reason in rig.robot.values["last_failure"], "the reason")
    rig.until(lambda: rig.robot.status.level == bytes([Level.WARN]), "a warning")
    rig.until(lambda: children(rig.process.pid).keys() == PROCESSES, "both processes")
    rig.robot.set_task("move")
    rig.until_moving()


@pytest.mark.parametrize(
    ("image", "came"),
    [
        (lambda robot: b"\0\1\0\0 no image", "stamp"),
        (lambda robot: robot.good_image(width=2 * WIDTH), f"got {2 * WIDTH}x{HEIGHT} rgb8"),
        (lambda robot: robot.good_image(encoding="bgr8"), f"got {WIDTH}x{HEIGHT} bgr8"),
    ],
    ids=["malformed", "size", "encoding"],
)
def test_an_image_that_does_not_fit_is_refused_and_the_robot_held(
    rig: Rig, image: Callable[[Any], Any], came: str
) -> None:
    robot = rig.robot
    robot.image = lambda: image(robot)
    rig.until_counted("images_refused", 3)
    rig.until_counted("failures_image_stale")
    rig.until_held()
    words = ["camera 'image': "]
    if "got" in came:
        words.append(f"expected {WIDTH}x{HEIGHT} rgb8, {came}")
    rig.until(lambda: all(word in robot.values["last_failure"] for word in words), "the reason")
    rig.until(lambda: robot.status.level == bytes([Level.WARN]), "a warning")
    robot.image = robot.good_image
    rig.until_moving()


def test_images_that_stop_hold_the_robot_until_they_come_back(rig: Rig) -> None:
    rig.robot.image = lambda: None
    rig.until_counted("failures_image_stale")
    rig.until_held()
    rig.robot.image = rig.robot.good_image
    rig.until_moving()


def _with(position: float | None, names: tuple[str, ...] = JOINTS) -> Callable[[Any], JointState]:
    def make(robot: Any) -> JointState:
        message = robot.good_joints()
        message.name = list(names)
        message.position = [0.0 if position is None else position] * len(names)
        return message

    return make


@pytest.mark.parametrize(
    ("joints", "counted", "reason"),
    [
        (_with(float("nan")), "state_not_finite", ""),
        (_with(1e300), "states_refused", "got [1e+300, 1e+300]"),
        (_with(0.0, ("shoulder", "wrist")), "states_refused", "['elbow'] missing in ['shoulder', 'wrist']"),
        (
            _with(0.0, tuple(f"{'finger_' * 8}{number}" for number in range(3000))),
            "states_refused",
            "['shoulder', 'elbow'] missing",
        ),
        (lambda robot: JointState(name=list(JOINTS)), "states_refused", "expected 2 positions"),
        (lambda robot: None, "ticks_state_stale", ""),
    ],
    ids=["nan", "beyond sense", "missing joint", "many joints", "no positions", "stopped"],
)
def test_without_sound_joint_states_the_robot_is_held(
    rig: Rig, joints: Callable[[Any], Any], counted: str, reason: str
) -> None:
    robot = rig.robot
    robot.joints = lambda: joints(robot)
    rig.until_counted(counted, 3)
    rig.until(lambda: robot.values["served"] == "stale", "stale states")
    rig.until_held()

    def told() -> bool:
        status = robot.status
        message = status.message
        held = message.startswith("no fresh joint states, holding") and reason in message
        return held and status.level == bytes([Level.ERROR])

    rig.until(told, "an error with the reason")
    robot.joints = robot.good_joints
    rig.until_moving()


def test_stop_and_start(rig: Rig) -> None:
    assert rig.trigger("stop").success
    rig.until_held()
    rig.until(lambda: rig.robot.values["served"] == "stopped", "a report")
    inferences = rig.robot.count("inferences")
    rig.until_counted("ticks", 50)
    assert rig.robot.count("inferences") <= inferences + 1
    assert rig.trigger("start").success
    rig.until_moving()


def test_a_new_task_discards_the_answer_to_the_old_one(rig: Rig) -> None:
    superseded = rig.robot.count("chunks_superseded")

    def discarded() -> bool:
        rig.robot.set_task(f"move {rig.robot.count('ticks')}")
        return rig.robot.count("chunks_superseded") > superseded

    rig.until(discarded, "a discarded answer")
    rig.until(lambda: any(item["outcome"] == "superseded" for item in rig.robot.inferences), "its report")
    rig.until_moving()


def test_the_life_cycle_several_times(rig: Rig) -> None:
    for _ in range(2):
        kin = children(rig.process.pid)
        assert rig.change("deactivate")
        assert rig.state() == "inactive"
        stop = rig.trigger("stop")
        assert not stop.success
        assert "expected an active node" in stop.message
        rig.until_silent()
        del rig.robot.commands[:]
        rig.robot.position = [position + 0.5 for position in rig.robot.position]  # moved by hand meanwhile
        assert rig.change("activate")
        rig.until(lambda: len(rig.robot.commands) > 5, "commands")
        # The first command is where the robot is, not where it was left.
        first = rig.robot.commands[0].data
        assert np.abs(np.subtract(first, rig.robot.commands[5].data)).max() < 0.25
        rig.until_moving()
        assert children(rig.process.pid) == kin
        assert rig.change("deactivate")
        assert rig.change("cleanup")
        assert rig.state() == "unconfigured"
        assert children(rig.process.pid) == {}
        assert not any(map(runs, kin.values()))
        assert rig.change("configure")
        assert rig.change("activate")
        rig.until_moving()


def test_an_inactive_node_keeps_its_policy(rig: Rig) -> None:
    """An answer that comes after the end is heard: it is no policy that hangs."""
    restarts = rig.robot.count("worker_restarts")
    kin = children(rig.process.pid)
    assert rig.change("deactivate")
    # The timeout passes while nothing ticks.
    with pytest.raises(AssertionError, match="did not happen"):
        until(lambda: children(rig.process.pid) != kin, wait_s=4.0)
    assert rig.change("activate")
    rig.until_moving()
    assert rig.robot.count("worker_restarts") == restarts


def test_a_dead_tick_ends_the_node_with_status_1(start: Start) -> None:
    rig = start()
    rig.until_moving()
    kin = children(rig.process.pid)
    os.kill(kin["policy_tick"], signal.SIGKILL)
    assert rig.process.wait(60) == 1
    assert "the tick process ended with status -9" in rig.output
    until(lambda: not runs(kin["policy_worker"]), "the end of the policy's process")


def test_a_tick_that_hangs_is_an_error_and_then_ends_the_node(start: Start) -> None:
    rig = start()
    rig.until_moving()
    kin = children(rig.process.pid)
    os.kill(kin["policy_tick"], signal.SIGSTOP)
    rig.until(lambda: rig.robot.status.message.startswith("no word from the tick process for"), "a report")
    assert rig.robot.status.level == bytes([Level.ERROR])
    assert rig.process.wait(60) == 1
    assert "the tick process said nothing for 5 s and was killed" in rig.output
    until(lambda: not any(map(runs, kin.values())), "the end of its processes")


def test_a_dead_node_leaves_a_standing_robot_and_no_processes(start: Start) -> None:
    rig = start()
    rig.until_moving()
    kin = children(rig.process.pid)
    rig.process.kill()
    rig.process.wait()
    until(lambda: not any(map(runs, kin.values())), "the end of its processes")

    def steps() -> np.ndarray:
        positions = np.array([command.data for command in rig.robot.commands[-200:]])
        return np.abs(np.diff(positions, axis=0)).max(axis=1)

    # 0.4 rad/s at 20 rad/s^2 takes two ticks to brake; the last command adds nothing to the one before.
    until(lambda: steps()[-1] <= 1e-9, "a last command that adds nothing")
    assert steps().max() > 0.0


def reliability(endpoints: list[Any]) -> set[ReliabilityPolicy]:
    return {endpoint.qos_profile.reliability for endpoint in endpoints}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_points_and_a_clean_end(start: Start, number: signal.Signals) -> None:
    lossy = {"reliability": "best_effort"}
    rig = start(
        {
            "command": {"kind": "point", "lead_ms": 100.0},
            "qos_overrides": {
                "/commands": {"publisher": lossy},
                "/joint_states": {"subscription": {"reliability": "reliable"}},
                "/image": {"subscription": lossy},
                "/task": {"subscription": lossy},
                "/policy_node/inferences": {"publisher": lossy},
                "/diagnostics": {"publisher": {"durability": "transient_local"}},
            },
        },
        commands=ReliabilityPolicy.BEST_EFFORT,
    )
    rig.until_moving()
    robot = rig.robot.node
    best_effort, reliable = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
    assert reliability(robot.get_publishers_info_by_topic("commands")) == {best_effort}
    assert reliability(robot.get_subscriptions_info_by_topic("joint_states")) == {reliable}
    assert reliability(robot.get_subscriptions_info_by_topic("image")) == {best_effort}
    assert reliability(robot.get_subscriptions_info_by_topic("task")) == {best_effort}
    assert reliability(robot.get_publishers_info_by_topic("policy_node/inferences")) == {best_effort}
    diagnostics = robot.get_publishers_info_by_topic("/diagnostics")
    assert {endpoint.qos_profile.durability for endpoint in diagnostics} == {DurabilityPolicy.TRANSIENT_LOCAL}
    newest = rig.robot.commands[-1]
    assert newest.joint_names == list(JOINTS)
    assert len(newest.points) == 1
    assert list(newest.points[0].velocities) == []
    assert newest.points[0].time_from_start.nanosec == 100_000_000
    kin = children(rig.process.pid)
    assert rig.end(number) == 0, rig.output
    assert "Traceback" not in rig.output
    assert not any(map(runs, kin.values()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_policy_that_is_loading_does_not_hold_up_the_end(start: Start, number: signal.Signals) -> None:
    rig = start({"policy": {"factory": "scripted_policy:make_slow"}})
    rig.until(lambda: "policy_worker" in children(rig.process.pid), "the start of the policy's process")
    worker = children(rig.process.pid)["policy_worker"]
    assert rig.end(number) == 0, rig.output
    assert "told to stop before the policy was ready" in rig.output
    assert not runs(worker)


def test_chunks_are_stamped_and_end_in_a_stand(start: Start) -> None:
    rig = start({"command": {"kind": "chunk"}}, camera=ReliabilityPolicy.BEST_EFFORT)
    rig.until(lambda: sum(len(command.points) > 5 for command in rig.robot.commands) > 3, "chunks")
    for command in [command for command in rig.robot.commands if len(command.points) > 5]:
        times = [point.time_from_start.sec + point.time_from_start.nanosec * 1e-9 for point in command.points]
        assert command.header.stamp.sec > 0
        assert times == sorted(times)
        assert times[0] > 0.0
        assert list(command.points[-1].velocities) == [0.0, 0.0]
        assert np.abs([point.velocities for point in command.points[:-1]]).max() > 0.0
    rig.robot.image = lambda: None
    rig.until_counted("misses")
    assert rig.end() == 0


def test_simulated_time_may_stand_leap_and_go_back(start: Start) -> None:
    rig = start({"use_sim_time": True})
    robot = rig.robot
    robot.clock_ns = 1_700_000_000 * 10**9
    rig.until_moving()
    assert robot.count("clock_jumps") == 0
    for jump_s in (3600, -1800):
        jumps = robot.count("clock_jumps")
        robot.clock_ns += jump_s * 10**9
        rig.until(lambda jumps=jumps: robot.count("clock_jumps") > jumps, "a jump")
        rig.until_moving()
    assert robot.count("worker_restarts") == 0
    assert robot.count("stalls") == 0


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({"execution": {"strategy": "rtc_trained"}}, ""),
        ({"execution": {"strategy": "auto"}}, "rtc_trained: there is no model of the drives"),
    ],
)
def test_a_policy_that_continues_the_plan_is_shown_it(
    start: Start, changes: dict[str, Any], chosen: str
) -> None:
    rig = start({"policy": {"factory": "scripted_policy:make_continuing"}, **changes})
    rig.until_moving()
    choice = f"running, {chosen}" if chosen else "running"
    rig.until(lambda: rig.robot.status.message.startswith(choice), "a report of what was chosen")
    assert rig.robot.values["strategy"] == changes["execution"]["strategy"]
    assert rig.robot.values.get("strategy_choice", "").startswith(chosen)
    rig.until(lambda: rig.output.count("continues straight=True late=True") > 5, "plans that are continued")
    assert "failures_policy_error" not in rig.robot.values
    assert not [name for name in rig.robot.values if name.startswith("launch.")]  # it does not know


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"observation": {"joints": {"names": ["elbow", "shoulder"]}}},
            "the policy expects ['shoulder', 'elbow'] in this order, got ['elbow', 'shoulder']",
        ),
        (
            {"observation": {"joints": {"names": ["shoulder"]}}},
            "the policy moves 2 joints ['shoulder', 'elbow'], got 1: ['shoulder']",
        ),
        (
            {"observation": {"camera": {"image": {"width": WIDTH, "height": WIDTH}}}},
            f"{WIDTH}x{WIDTH} px has another aspect ratio than the policy's {WIDTH}x{HEIGHT} px",
        ),
        (
            {"observation": {"camera": {"image": {"feature": "front"}}}},
            "the policy takes images ['image'], the contract gives ['front']",
        ),
        (
            {"policy": {"kind": "onnx", "model": "/no/such/model.onnx"}},
            "found nothing at /no/such/model.onnx",
        ),
        ({"policy": {"factory": "scripted_policy:missing"}}, "cannot import 'scripted_policy:missing'"),
        ({"policy": {"factory": "scripted_policy:make_broken"}}, "RuntimeError: no such accelerator"),
        ({"policy": {"factory": "scripted_policy:make_endless"}}, "horizon of 100000 for 2 joints"),
        ({"policy": {"inference_delay_ms": 4000.0}}, "policy.timeout_ms: expected more than 4000 ms"),
        ({"observation": {"task": {"text": "x" * 5000}}}, "expected at most 4096 characters, got 5000"),
        ({"tick_rate": 50.0}, "there is no parameter 'tick_rate'; did you mean 'tick_hz'?"),
        ({"tick_hz": 5000.0}, "tick_hz"),
        ({"roll_forward": {"kind": "actuator"}}, "lowlat identify"),
        ({"corrector": {"model": "/no/such/corrector.onnx"}}, "found nothing at /no/such/corrector.onnx"),
        ({"corrector": {"model": "reach_flow"}}, "an output 'correction', found inputs"),
        ({"execution": {"strategy": "rtc_trained"}}, "needs a policy that accepts prefix; this one accepts"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:20],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(
    robot: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reason: str
) -> None:
    from policy_rig import PARAMETERS
    from rclpy.parameter import Parameter

    from lowlat_nodes.nodes.policy_node import PolicyNode
    from lowlat_nodes.stream.config import flatten

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    parameters = flatten(merged(PARAMETERS, changes))
    node = robot.add(PolicyNode(overrides=[Parameter(name, value=v) for name, v in parameters.items()]))
    assert not node.start()
    assert node.state == "unconfigured"
    assert reason in node.problem
    assert not PROCESSES & children(os.getpid()).keys()
