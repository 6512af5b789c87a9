# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Looks at what passes in a ROS graph, without a part in it: for pages and tools that show it."""
