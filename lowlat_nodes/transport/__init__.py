# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Sources and sinks over ROS topics, bags, sockets and files; the only place that knows their bytes."""
