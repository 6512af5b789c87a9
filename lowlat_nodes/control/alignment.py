# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams of different rates, brought to one instant."""

from __future__ import annotations

from collections import deque

import numpy as np

from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.trace import Trace

_SAME_CLOCK_NS = 10_000_000_000


def same_clock(one_ns: int, other_ns: int) -> bool:
    """Return whether two instants that belong together are near enough to be told by one clock."""
    return abs(one_ns - other_ns) <= _SAME_CLOCK_NS


def stamp_of(trace: Trace) -> int:
    """Return when a recorded message was captured; where another clock or none says it, when it came."""
    known = trace.capture_ns and same_clock(trace.capture_ns, trace.received_ns)
    return trace.capture_ns if known else trace.received_ns


class StateHistory:
    """The newest joint states, to look up the one that belongs to an image.

    Args:
        length: How many states are kept.
    """

    def __init__(self, length: int) -> None:
        self._states: deque[RobotState] = deque(maxlen=length)

    def add(self, state: RobotState) -> None:
        """Append a state; one that is not newer than the last starts the history anew (the clock jumped)."""
        if self._states and state.stamp_ns <= self._states[-1].stamp_ns:
            self._states.clear()
        self._states.append(state)

    def at(self, stamp_ns: int) -> RobotState | None:
        """Return the state at an instant: between its neighbours, or the nearest one beyond the ends.

        Returns:
            None only while the history is empty.
        """
        states = self._states
        if not states:
            return None
        after = len(states) - 1
        if stamp_ns >= states[after].stamp_ns:
            return states[after]
        while after > 0 and states[after - 1].stamp_ns > stamp_ns:
            after -= 1
        if after == 0:
            return states[0]
        left, right = states[after - 1], states[after]
        share = (stamp_ns - left.stamp_ns) / (right.stamp_ns - left.stamp_ns)
        return RobotState(
            stamp_ns,
            np.asarray(left.position * (1.0 - share) + right.position * share),
            np.asarray(left.velocity * (1.0 - share) + right.velocity * share),
        )
