# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Joules per result: meters, who used what, what a result costs, and budgets. Knows no ROS and no sockets."""
