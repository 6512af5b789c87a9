# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes: lifecycle, parameters and diagnostics around a processor; needs rclpy."""

import os
import sys

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.middleware import require_installed

# Before rclpy is imported, which ends the process where the middleware is missing, without a remedy.
try:
    require_installed(os.environ)
except ConfigurationError as error:
    print(error, file=sys.stderr)
    sys.exit(os.EX_CONFIG)
