# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs one node as a process: starts it, spins it, and ends it cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions

from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.transport.ros import prepare_process

EXIT_FATAL = 1
"""The exit code of a node that failed: starting it again may help."""

EXIT_CONFIGURATION = os.EX_CONFIG
"""The exit code of a node that refused its configuration, 78: starting it again will not help."""

_SPIN_S = 0.1  # how late a signal may be noticed
_LOG_PERIOD_S = 5.0


def run(make: Callable[[], LifecycleHost[Any]], argv: Sequence[str] | None = None) -> int:
    """Run a node until a signal or the end of its ROS context; call it from the main thread.

    With the parameter `autostart` the node is configured and activated first.

    Args:
        make: Makes the node, once rclpy is initialised.
        argv: Program name and arguments, ROS arguments among them; `sys.argv` unless given.

    Returns:
        0 after a clean end; 1 where the node found that it cannot go on; 78 (EX_CONFIG) where arguments,
        parameters or the start were refused. The reason is on standard error.
    """
    with stop_on_signals(ends=True) as stop:
        try:
            prepare_process()
            arguments = list(sys.argv if argv is None else argv)
            rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
            return _serve(make(), stop)
        except (LowlatError, rclpy_implementation.RCLError) as error:
            print(error, file=sys.stderr)
            return EXIT_CONFIGURATION
        finally:
            rclpy.try_shutdown()


def _serve(node: LifecycleHost[Any], stop: StopRequest) -> int:
    node.stop = stop
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and not node.start():
            return 0 if stop.is_set() else EXIT_CONFIGURATION
        # A collection need not look at models and libraries again. Only here, where this is all that the
        # process does: what is frozen is never collected, a node that was destroyed included.
        gc.collect()
        gc.freeze()
        while not (stop.is_set() or node.fatal) and node.context.ok():
            _turn(executor, node)
    finally:
        node.destroy_node()
        executor.shutdown()
        # The rest of the node holds its participant, whose shared memory Fast DDS leaves behind on Kilted.
        gc.unfreeze()
        gc.collect()
    return EXIT_FATAL if node.fatal else 0


def _turn(executor: SingleThreadedExecutor, node: LifecycleHost[Any]) -> None:
    # Not the EventsExecutor: its spin() neither sleeps nor ends in the wheels of Jazzy and Kilted.
    try:
        executor.spin_once(timeout_sec=_SPIN_S)
    except Exception as error:  # one callback must not end the node
        reason = f"a callback failed: {type(error).__name__}: {error}"
        node.get_logger().error(reason, throttle_duration_sec=_LOG_PERIOD_S)
