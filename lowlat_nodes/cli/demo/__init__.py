# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat demo`: compares ways to run a slow policy on a simulated robot, over real ROS 2 topics."""

from __future__ import annotations

from lowlat_nodes.cli.demo.command import main

__all__ = ["main"]
