# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Think while acting, for the instant at which the answer will be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lowlat_nodes.control.strategies.strategy import Intent, Situation, Trigger


@dataclass(frozen=True, slots=True)
class Vlash:
    """Future-state-aware asynchronous inference (VLASH, 2512.01031).

    The state is rolled forward over the actions that are already decided to `now + delay`, and the chunk
    takes over exactly then. The authors' code takes the last action of the running chunk for that state, and
    swaps at the chunk's border only; here the roll-forward is exchangeable, and projection and swap are one
    number.
    """

    waits: ClassVar[bool] = False
    slots: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    trigger: Trigger

    def decide(self, situation: Situation) -> Intent | None:
        """Launch when due, for the tick at which the answer is expected."""
        if not self.trigger.due(situation):
            return None
        if situation.delay_ns == 0:  # nothing to plan with yet: the robot stands, so any instant will do
            return Intent(None)
        return Intent(situation.now_ns + self.trigger.lead_ns(situation), project=True)


@dataclass(frozen=True, slots=True)
class DelayConditioned(Vlash):
    """VLASH with a policy that is told how old its image will be when the chunk begins.

    Offset training as published hides the delay from the network, which then has to guess it.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"delay"})
