# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes: lifecycle, parameters and diagnostics around a processor; needs rclpy."""
