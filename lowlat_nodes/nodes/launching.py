# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files of this package share; it needs the `launch_ros` of a ROS installation."""

from __future__ import annotations

import os
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
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from lowlat_nodes import resources
from lowlat_nodes.nodes.parameter_file import require_node
from lowlat_nodes.transport.segments import PROFILE_VARIABLES, profile_environment

# Where this is set, our nodes choose no profile of their own.
TRANSPORTS_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"

_RESPAWN_S = 2.0
BOOLEAN = ["true", "false"]


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
    arguments = [
        DeclareLaunchArgument("name", default_value=executable, description="Name of the node."),
        DeclareLaunchArgument(
            "namespace", default_value="", description="Namespace of the node and its topics."
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(resources.path("config", params_file)),
            description="ROS parameter file; it names the node, or has a /** section.",
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
            description="Configure and activate the node; false leaves that to a lifecycle manager.",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="Least severe messages that the node shows.",
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
            description="Start the node again two seconds after it has ended by itself, unless it refused "
            "its parameters (status 78).",
        ),
    ]
    node = LifecycleNode(
        package="lowlat_nodes",
        executable=executable,
        name=LaunchConfiguration("name"),
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("params_file"),
            {switch: _boolean(switch) for switch in ("use_sim_time", "autostart")},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        respawn=LaunchConfiguration("respawn"),
        respawn_delay=_RESPAWN_S,
        output="screen",
        emulate_tty=True,
    )

    def give_up(event: ProcessExited, _context: LaunchContext) -> list[LogInfo | EmitEvent] | None:
        if event.returncode != os.EX_CONFIG:
            return None
        reason = f"{event.process_name} could not be configured as it was told: it is not started again"
        # The one thing that ends the wait before the next start.
        return [LogInfo(msg=reason), EmitEvent(event=ShutdownProcess(process_matcher=matches_action(node)))]

    return LaunchDescription(
        [
            *arguments,
            OpaqueFunction(function=_check_params_file),
            OpaqueFunction(function=_set_profile),
            RegisterEventHandler(OnProcessExit(target_action=node, on_exit=give_up)),
            node,
        ]
    )


def _boolean(name: str) -> ParameterValue:
    return ParameterValue(LaunchConfiguration(name), value_type=bool)


def _check_params_file(context: LaunchContext) -> None:
    path, name, namespace = (
        LaunchConfiguration(argument).perform(context) for argument in ("params_file", "name", "namespace")
    )
    # Set where this file is included below a PushRosNamespace.
    outer = context.launch_configurations.get("ros_namespace")
    absolute = make_namespace_absolute(prefix_namespace(outer, namespace)) or ""
    require_node(Path(path), f"{absolute.rstrip('/')}/{name}")


def _set_profile(context: LaunchContext) -> list[SetEnvironmentVariable]:
    choice = LaunchConfiguration("fastdds_profile").perform(context)
    if choice == "auto":
        variables = profile_environment(os.environ)
    elif choice == "off":
        variables = {TRANSPORTS_VARIABLE: "DEFAULT"}
    else:
        variables = dict.fromkeys(PROFILE_VARIABLES, choice)
    return [SetEnvironmentVariable(name, value) for name, value in variables.items()]
