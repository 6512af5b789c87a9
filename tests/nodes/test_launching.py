# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch files, under the real `ros2 launch` of a ROS installation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("launch_ros", reason="launch_ros comes with a ROS installation, not with pip")

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch.utilities import perform_substitutions
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import ExecutableInPackage
from lifecycle_msgs.srv import GetState

from lowlat_nodes import resources
from lowlat_nodes.nodes import launching
from lowlat_nodes.nodes.parameter_file import ParameterFileError, read
from lowlat_nodes.transport import segments
from lowlat_nodes.transport.segments import PROFILE_VARIABLES

FILES = [
    "alert_replay.launch.py",
    "alerts.launch.py",
    "bridge.launch.py",
    "detector.launch.py",
    "energy.launch.py",
    "policy.launch.py",
    "processor.launch.py",
    "recorder.launch.py",
    "shapes_camera.launch.py",
    "sim.launch.py",
]
GRAPH = "full.launch.py"
SWITCHES = "sim_arm shapes_camera detector alerts alert_replay bridge energy recorder"
COMMON = "namespace params_file use_sim_time autostart log_level fastdds_profile respawn"
TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"

Launch = Callable[..., "subprocess.Popen[str]"]


def load(file: str) -> LaunchDescription:
    return get_launch_description_from_python_launch_file(str(resources.path("launch", file)))


def prepare(file: str, **configurations: str) -> dict[str, str]:
    """Do what a launch file does before it starts its node; return the environment that the node gets."""
    context = LaunchContext()
    context.launch_configurations.update(configurations)
    # Launch changes the environment of its own process.
    with mock.patch.dict(os.environ):
        for action in load(file).entities:
            if isinstance(action, DeclareLaunchArgument | OpaqueFunction):
                for following in action.visit(context) or []:
                    following.visit(context)
        return dict(os.environ)


@pytest.fixture(autouse=True)
def _no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROFILE_VARIABLES, TRANSPORTS):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("file", "expected"), [*((file, f"name {COMMON}") for file in FILES), (GRAPH, f"{COMMON} {SWITCHES}")]
)
def test_every_argument_has_a_default_and_says_what_it_is(file: str, expected: str) -> None:
    arguments = load(file).get_launch_arguments()
    assert [argument.name for argument in arguments] == expected.split()
    assert all(argument.default_value is not None for argument in arguments)
    assert all(argument.description.endswith(".") or ": " in argument.description for argument in arguments)


@pytest.mark.parametrize(
    ("file", "default"),
    [
        ("bridge.launch.py", "true"),
        ("detector.launch.py", "true"),
        ("full.launch.py", "true"),
        ("policy.launch.py", "true"),
        ("shapes_camera.launch.py", "false"),
        ("sim.launch.py", "false"),
    ],
)
def test_what_is_not_simulated_is_started_again_unless_told_otherwise(file: str, default: str) -> None:
    context = LaunchContext()
    (respawn,) = [each for each in load(file).get_launch_arguments() if each.name == "respawn"]
    assert perform_substitutions(context, respawn.default_value) == default


@pytest.mark.parametrize("file", [*FILES, GRAPH])
def test_the_profile_is_ours_unless_the_user_has_one(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "is_small", lambda _folder: False)
    ours = str(resources.path("config", "fastdds_shm.xml"))
    assert {prepare(file)[name] for name in PROFILE_VARIABLES} == {ours}
    assert prepare(file, fastdds_profile="mine.xml")[PROFILE_VARIABLES[0]] == "mine.xml"
    off = prepare(file, fastdds_profile="off")
    assert off[TRANSPORTS] == "DEFAULT"
    assert not off.keys() & set(PROFILE_VARIABLES)
    monkeypatch.setenv(PROFILE_VARIABLES[0], "theirs.xml")
    kept = prepare(file)
    assert kept[PROFILE_VARIABLES[0]] == "theirs.xml"
    assert PROFILE_VARIABLES[1] not in kept


@pytest.mark.parametrize("file", [*FILES, GRAPH])
@pytest.mark.parametrize("namespace", ["", "/", "arm", "/arm/left"])
def test_the_shipped_parameters_are_for_the_node_in_any_namespace(file: str, namespace: str) -> None:
    prepare(file, namespace=namespace)
    prepare(file, namespace=namespace, ros_namespace="robot")


def test_parameters_for_another_node_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("/robot/eyes: {ros__parameters: {threshold: 0.5}}")
    mine = {"params_file": str(path), "name": "eyes"}
    prepare("detector.launch.py", **mine, namespace="robot")
    prepare("detector.launch.py", **mine, namespace="", ros_namespace="/robot")
    with pytest.raises(ParameterFileError, match="a section for /left/eyes, got /robot/eyes"):
        prepare("detector.launch.py", **mine, namespace="left")
    with pytest.raises(ParameterFileError, match="a section for /eyes, got /\\*\\*/detector_node"):
        prepare("detector.launch.py", name="eyes")
    with pytest.raises(ParameterFileError, match="expected a ROS parameter file"):
        prepare("detector.launch.py", params_file=str(tmp_path / "none.yaml"))


def started_nodes(file: str, **configurations: str) -> list[str]:
    """Return the executables that a launch file starts with these arguments."""
    context = LaunchContext()
    for argument in load(file).get_launch_arguments():
        default = perform_substitutions(context, argument.default_value)
        context.launch_configurations[argument.name] = configurations.get(argument.name, default)
    nodes = [action for action in load(file).entities if isinstance(action, LifecycleNode)]
    return [
        node.node_executable for node in nodes if node.condition is None or node.condition.evaluate(context)
    ]


@pytest.mark.parametrize("switch", SWITCHES.split())
def test_each_optional_part_of_the_graph_can_be_left_out(switch: str) -> None:
    everything = started_nodes(GRAPH)
    rest = started_nodes(GRAPH, **{switch: "false"})
    [left_out] = set(everything) - set(rest)
    assert left_out.removesuffix("_node").startswith(switch.removesuffix("s"))
    assert "policy_node" in rest


def test_the_graph_has_the_nodes_of_its_parameter_file() -> None:
    sections = read(resources.path("config", "full.yaml"))
    assert sorted(section.name for section in sections) == sorted(started_nodes(GRAPH))


def test_only_nodes_that_are_started_need_parameters(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("/**/policy_node: {ros__parameters: {tick_hz: 50.0}}")
    off = dict.fromkeys(SWITCHES.split(), "false")
    prepare(GRAPH, params_file=str(path), **off)
    with pytest.raises(ParameterFileError, match="a section for /detector_node"):
        prepare(GRAPH, params_file=str(path), **{**off, "detector": "true"})


@pytest.fixture
def launch(ros_domain_id: int) -> Iterator[Launch]:
    """Start a launch file; at the end it gets SIGINT, which `ros2 launch` passes on."""
    started: list[subprocess.Popen[str]] = []

    def run(file: Path | str, *arguments: str) -> subprocess.Popen[str]:
        code = "import sys; from ros2cli.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "launch", str(file), *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield run
    for process in started:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def built_with_colcon() -> bool:
    try:
        ExecutableInPackage("policy_node", "lowlat_nodes").perform(LaunchContext())
    except Exception:  # of several packages
        return False
    return True


needs_colcon = pytest.mark.skipif(
    not built_with_colcon(), reason="ros2 launch finds executables that colcon has installed"
)


@pytest.mark.ros
@needs_colcon
@pytest.mark.parametrize(("autostart", "state"), [("true", "active"), ("false", "unconfigured")])
@pytest.mark.parametrize("namespace", ["/", "/arm"])
def test_a_launched_node_reaches_its_state(
    robot: Any, launch: Launch, autostart: str, state: str, namespace: str
) -> None:
    process = launch(
        resources.path("launch", "policy.launch.py"), f"autostart:={autostart}", f"namespace:={namespace}"
    )

    def reached() -> bool:
        name = f"{namespace.rstrip('/')}/policy_node/get_state"
        response = robot.call(GetState, name, GetState.Request())
        return bool(response.current_state.label == state)

    robot.spin_until(reached)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "process has finished cleanly" in output, output


@pytest.mark.ros
@needs_colcon
def test_a_node_that_refused_its_parameters_is_not_started_again(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("/**: {ros__parameters: {treshold: 0.5}}")
    process = launch(resources.path("launch", "detector.launch.py"), f"params_file:={path}")
    # By itself: nothing is left to wait for.
    output, _ = process.communicate(timeout=60)
    assert "did you mean 'threshold'?" in output
    assert "exit code 78" in output
    assert "it is not started again" in output
    assert output.count("process started with pid") == 1


@pytest.mark.ros
@needs_colcon
def test_a_node_that_was_killed_is_started_again(robot: Any, launch: Launch) -> None:
    process = launch(resources.path("launch", "shapes_camera.launch.py"), "respawn:=true", "autostart:=false")

    def reached() -> bool:
        response = robot.call(GetState, "/shapes_camera_node/get_state", GetState.Request())
        return bool(response.current_state.label == "unconfigured")

    robot.spin_until(reached)
    [node] = children(process.pid)
    os.kill(node, signal.SIGKILL)
    robot.spin_until(lambda: set(children(process.pid)) - {node})
    robot.spin_until(reached)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "exit code -9" in output
    assert "process has finished cleanly" in output, output


def test_a_small_memory_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "is_small", lambda _folder: True)
    context = LaunchContext()
    context.launch_configurations["fastdds_profile"] = "auto"
    for name in (*PROFILE_VARIABLES, TRANSPORTS):
        monkeypatch.delenv(name, raising=False)
    told = [action for action in launching._set_profile(context) if isinstance(action, LogInfo)]
    assert len(told) == 1
    assert "--shm-size=1g" in perform_substitutions(context, told[0].msg)
