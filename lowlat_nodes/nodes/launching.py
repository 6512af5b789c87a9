# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files of this package share; it needs the `launch_ros` of a ROS installation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from lowlat_nodes import resources
from lowlat_nodes.nodes.parameter_file import require_node
from lowlat_nodes.transport.segments import PROFILE_VARIABLES, profile_environment, remark

# Where this is set, our nodes choose no profile of their own.
TRANSPORTS_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"

_RESPAWN_S = 2.0
BOOLEAN = ["true", "false"]


@dataclass(frozen=True)
class Part:
    """A node of a graph, which has the name of its executable.

    Attributes:
        executable: Executable and name of the node.
        switch: Launch argument that leaves it out; empty for a node that the graph is nothing without.
        does: What it does, for the description of that argument.
    """

    executable: str
    switch: str = ""
    does: str = ""


def node_description(executable: str, *, params_file: str, respawn: bool = False) -> LaunchDescription:
    """Describe the launch of one lifecycle node of this package.

    Args:
        executable: Executable and default name of the node.
        params_file: Name of its default parameter file in config/.
        respawn: Whether it is started again, unless told otherwise, when it ends by itself.

    Returns:
        A description to start, or to include in another; its arguments are the same for every node. What
        starts after it in the same scope gets the Fast DDS profile too, such as a camera driver.

    Raises:
        ResourceError: If the default parameter file is not installed.
    """
    name = DeclareLaunchArgument("name", default_value=executable, description="Name of the node.")
    return LaunchDescription(
        [
            name,
            *_arguments(params_file, respawn=respawn),
            OpaqueFunction(function=lambda context: _check_params_file(context, [_value(context, "name")])),
            OpaqueFunction(function=_set_profile),
            *_lifecycle_node(executable, LaunchConfiguration("name")),
        ]
    )


def graph_description(parts: Sequence[Part], *, params_file: str) -> LaunchDescription:
    """Describe the launch of several lifecycle nodes of this package that have one parameter file.

    Args:
        parts: The nodes. Each switch is an argument, `true` unless told otherwise.
        params_file: Name of the default parameter file in config/.

    Returns:
        A description to start, or to include in another; but for the switches its arguments are those of
        `node_description`, without a name.

    Raises:
        ResourceError: If the default parameter file is not installed.
    """
    switches = [
        DeclareLaunchArgument(
            part.switch,
            default_value="true",
            choices=BOOLEAN,
            description=f"Start {part.executable}: {part.does}.",
        )
        for part in parts
        if part.switch
    ]
    check = OpaqueFunction(function=lambda context: _check_params_file(context, _chosen(context, parts)))
    nodes = [
        action
        for part in parts
        for action in _lifecycle_node(part.executable, part.executable, switch=part.switch)
    ]
    return LaunchDescription(
        [
            *_arguments(params_file, respawn=True),
            *switches,
            check,
            OpaqueFunction(function=_set_profile),
            *nodes,
        ]
    )


def _arguments(params_file: str, *, respawn: bool) -> list[DeclareLaunchArgument]:
    """Return the arguments that every launch file has."""
    return [
        DeclareLaunchArgument("namespace", default_value="", description="Namespace of nodes and topics."),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(resources.path("config", params_file)),
            description="ROS parameter file; it names each node, or has a /** section.",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            choices=BOOLEAN,
            description="Take the time from /clock, as in simulations and with replayed bags.",
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="true",
            choices=BOOLEAN,
            description="Configure and activate at the start; false leaves that to a lifecycle manager.",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="Least severe messages that are shown.",
        ),
        DeclareLaunchArgument(
            "fastdds_profile",
            default_value="auto",
            description="Fast DDS profile, a path. auto: ours, whose shared memory holds images, unless the "
            "environment has one; off: the defaults of Fast DDS.",
        ),
        DeclareLaunchArgument(
            "respawn",
            default_value=str(respawn).lower(),
            choices=BOOLEAN,
            description="Start a node again two seconds after it has ended by itself, unless it refused "
            "its parameters (status 78).",
        ),
    ]


def _lifecycle_node(
    executable: str, name: str | LaunchConfiguration, *, switch: str = ""
) -> list[RegisterEventHandler | LifecycleNode]:
    """Return a node by the arguments of `_arguments`, and what keeps it from being started in vain."""
    node = LifecycleNode(
        package="lowlat_nodes",
        executable=executable,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {argument: _boolean(argument) for argument in ("use_sim_time", "autostart")},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        respawn=LaunchConfiguration("respawn"),
        respawn_delay=_RESPAWN_S,
        output="screen",
        emulate_tty=True,
        condition=IfCondition(LaunchConfiguration(switch)) if switch else None,
    )

    def give_up(event: ProcessExited, _context: LaunchContext) -> list[LogInfo | EmitEvent] | None:
        if event.returncode != os.EX_CONFIG:
            return None
        reason = f"{event.process_name} could not be configured as it was told: it is not started again"
        # The one thing that ends the wait before the next start.
        return [LogInfo(msg=reason), EmitEvent(event=ShutdownProcess(process_matcher=matches_action(node)))]

    return [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=give_up)), node]


def _chosen(context: LaunchContext, parts: Sequence[Part]) -> list[str]:
    """Return the names of the nodes that are not switched off."""
    return [part.executable for part in parts if not part.switch or _value(context, part.switch) == "true"]


def _boolean(name: str) -> ParameterValue:
    return ParameterValue(LaunchConfiguration(name), value_type=bool)


def _value(context: LaunchContext, argument: str) -> str:
    return LaunchConfiguration(argument).perform(context)


def _check_params_file(context: LaunchContext, names: Sequence[str]) -> None:
    """Refuse a file that says nothing about one of the nodes."""
    path, namespace = (_value(context, argument) for argument in ("params_file", "namespace"))
    # Set where this file is included below a PushRosNamespace.
    outer = context.launch_configurations.get("ros_namespace")
    absolute = make_namespace_absolute(prefix_namespace(outer, namespace)) or ""
    for name in names:
        require_node(Path(path), f"{absolute.rstrip('/')}/{name}")


def _set_profile(context: LaunchContext) -> list[SetEnvironmentVariable | LogInfo]:
    choice = _value(context, "fastdds_profile")
    said = ""
    if choice == "auto":
        said, variables = remark(os.environ), profile_environment(os.environ)
    elif choice == "off":
        variables = {TRANSPORTS_VARIABLE: "DEFAULT"}
    else:
        variables = dict.fromkeys(PROFILE_VARIABLES, choice)
    return [
        *(SetEnvironmentVariable(name, value) for name, value in variables.items()),
        *([LogInfo(msg=said)] if said else []),
    ]
