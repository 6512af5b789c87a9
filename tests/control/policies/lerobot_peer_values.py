# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What both ends of the test with LeRobot itself look at."""

from __future__ import annotations

IMAGES = {"top": (96, 128), "wrist": (48, 64)}
STATES = ([0.0] * 6, [0.1, -0.2, 0.3, -0.4, 0.5, -0.6])
GREY = 51
TASK = "pick up the cube"
