# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recording and playing bags of ROS topics and ZeroMQ publishers."""
