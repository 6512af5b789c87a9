# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat doctor`: finds what is wrong with this machine and names the command that mends it.

A module for each check, whose `check` yields what it finds. None needs to be root, and none changes anything.
"""

from __future__ import annotations

from lowlat_nodes.cli.doctor.command import main

__all__ = ["main"]
