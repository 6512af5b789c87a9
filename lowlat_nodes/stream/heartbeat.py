# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a processing loop says of itself, from within the loop: a process that only looks alive is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

RUNNING, IDLE, STOPPED, FINISHED = "running", "idle", "stopped", "finished"
"""The states that loops of this package tell of; any other is the reason why nothing goes on."""

MISSED = 3
"""So many periods after its last heartbeat a loop is silent."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One turn of a processing loop.

    Attributes:
        name: Whose loop it is: the full name of the node, or what the process was told to be called.
        state: What it does: `running`, `idle`, or why it does nothing.
        sequence: How many messages it has finished.
        latency_ns: Receipt to publication of the newest result, 0 without one.
        period_ns: When the next one is due at the latest; 0 for the last one of all.
        age_ns: How long ago the loop sent it, where another thread repeats it to a newcomer; 0 from the loop.
    """

    name: str
    state: str
    sequence: int
    latency_ns: int
    period_ns: int
    age_ns: int = 0


Beat = Callable[[Heartbeat], None]
"""Sends a heartbeat on; called in the loop, so it must not wait."""
