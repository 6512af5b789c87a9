# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether rclpy starts in this environment, and with which middleware: a process of `lowlat doctor`.

It prints one line of JSON; where rclpy does not start, its complaint on standard error, and ends with 1.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

from lowlat_nodes.transport.ros.process import keep_output_clean


def main() -> int:
    """Start rclpy, look at what was loaded, and end."""
    keep_output_clean()
    try:
        import rclpy
        from rclpy.utilities import get_rmw_implementation_identifier

        rclpy.init(args=[])
        rmw = get_rmw_implementation_identifier()
    except Exception as error:  # whatever it is, it is the answer
        print(_line(error), file=sys.stderr)
        return 1
    found = [
        each.version
        for name in ("ros-rclpy", "rclpy")
        for each in importlib.metadata.distributions(name=name)
    ]
    version = found[0] if found else ""
    folder = str(Path(rclpy.__file__).parent)
    print(json.dumps({"rmw": rmw, "rclpy": version, "folder": folder, "vision_msgs": _without_vision_msgs()}))
    rclpy.try_shutdown()
    return 0


def _without_vision_msgs() -> str:
    """Return why the messages of detections do not load, type support included; empty where they do."""
    try:
        from rclpy.type_support import check_for_type_support
        from vision_msgs.msg import Detection2DArray

        check_for_type_support(Detection2DArray)
    except Exception as error:  # type support fails in many ways
        return _line(error)
    return ""


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


if __name__ == "__main__":
    sys.exit(main())
