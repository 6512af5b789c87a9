# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a processing loop says of itself, from within the loop: a process that only looks alive is silent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One turn of a processing loop.

    Attributes:
        name: Whose loop it is: the full name of the node, or what the process was told to be called.
        state: What it does: `running`, `idle`, or why it does nothing.
        sequence: How many messages it has finished.
        latency_ns: Receipt to publication of the newest result, 0 without one.
        period_ns: When the next one is due at the latest.
    """

    name: str
    state: str
    sequence: int
    latency_ns: int
    period_ns: int
