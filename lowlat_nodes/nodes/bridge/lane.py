# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What both directions of a bridge count and tell of one route."""

from __future__ import annotations

from lowlat_nodes.nodes.bridge.config import Named
from lowlat_nodes.nodes.diagnostics import Window
from lowlat_nodes.nodes.energy.node_energy import NodeEnergy
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.throttle import Pace
from lowlat_nodes.stream.trace import Trace

MS = 1_000_000

BY_DESIGN = frozenset({"superseded", "rate", "bridged", "own", "here", "closed"})
"""Drops that nobody needs to look into."""


class Lane:
    """A route at work.

    ========== ==================================================================================
    superseded `keep: newest`, and a newer one came while this waited, here or in the middleware
    overflow   `keep: every`, and more than `depth` waited
    lost       `keep: every`, and it never came, as the numbers of its publisher tell
    rate       more than `max_hz` came
    stale      older than `expire_ms`
    bridged    a bridge published it on ROS, and `forward_bridged` is off
    own        it has passed this bridge before
    here       its bridge took it from this same topic of this same ROS graph
    far        it has passed more than 8 bridges
    malformed  its bytes are not what they should be
    mismatched it is of another type than the topic, or of one that is not installed here
    failed     the other side did not take it
    ========== ==================================================================================

    Args:
        named: The route.
        total: Measures what all routes forward.
        energy: Counts it.

    Attributes:
        received: How many messages came.
        given: How many of them have gone on.
        latency_ns: How long the newest of them took from receipt.
        drops: Those that went no further, by reason.
        problem: What keeps the route from working now, with the remedy; empty if nothing does.
        last_failure: Why the newest message that was malformed, mismatched or failed was.
    """

    def __init__(self, named: Named, total: Window, energy: NodeEnergy) -> None:
        self.named = named
        self.energy = energy
        self.received = self.given = self.latency_ns = 0
        self.drops = Counters()
        self.problem = ""
        self.last_failure = ""
        self._window = Window()
        self._total = total
        self._pace = Pace(named.route.max_hz) if named.route.max_hz else None

    def in_time(self, now_ns: int) -> bool:
        """Return whether `max_hz` lets a message pass that came now; otherwise it is counted."""
        if self._pace is None or self._pace.admits(now_ns):
            return True
        self.drops.add("rate")
        return False

    def refuse(self, reason: str, why: object) -> None:
        """Count a message that goes no further, and keep the reason."""
        self.drops.add(reason)
        self.last_failure = f"{self.named.name}: {why}"

    def give(self, trace: Trace) -> None:
        """Count a message that has gone on."""
        self._window.give(trace)
        self._total.give(trace)
        self.given += 1
        self.energy.done()
        self.latency_ns = trace.latency_ns()

    def values(self) -> dict[str, str | int | float]:
        """Return what the diagnostics say of the route; rates and ages are those since the last call."""
        name = self.named.name
        figures = {
            "received": self.received,
            "given": self.given,
            **self._window.turn(self.received),
        }
        drops = {f"drops.{reason}": count for reason, count in self.dropped().items()}
        told = {"problem": self.problem} if self.problem else {}
        return {f"{name}.{key}": value for key, value in {**figures, **drops, **told}.items()}

    def dropped(self) -> dict[str, int]:
        """Return all drops by reason."""
        return self.drops.snapshot()
