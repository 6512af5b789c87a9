# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""This process as a participant of a ROS domain that does not leave the machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lowlat_nodes.transport.ros.process import keep_output_clean


@contextmanager
def ros_session() -> Iterator[Path]:
    """Take part, and yield a folder for what the session writes; what starts meanwhile takes part as well."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
        os.environ |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_LOG_DIR": folder}
        keep_output_clean()
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        try:
            yield Path(folder)
        finally:
            rclpy.try_shutdown()
