# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Think about the next observation before the thought about the last one is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lowlat_nodes.control.strategies.strategy import Intent, Situation, Trigger


@dataclass(frozen=True, slots=True)
class Pipelined:
    """Several inferences under way, launched at even distances within the delay of one.

    With one inference after the other, what happens just after a launch waits for that inference to end and
    then for one of its own: twice the delay. With n of them it waits for an n-th of the delay, and then for
    one inference. Where the scene changed abruptly, it waits for a free slot only, and not at all if one is
    kept for that.

    Each is aimed as that of `Vlash`: the state is rolled forward to the swap. The roll-forward knows the plan
    as it stands at the launch, without the answers that are still out and will change it before the swap; the
    difference is what they change within one launch period. An answer that a later one has overtaken is
    refused (`superseded`): it saw less. The delay is measured from launches to answers, so it contains
    whatever the workers take from each other, and the distance of launches follows it. Workers that share
    their cores only slow each other down: give each its own.

    Attributes:
        trigger: Lead of the swap, and whether to launch before the plan needs it.
        slots: How many inferences may be under way.
        kept: How many of them only where the scene changed.
    """

    waits: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    trigger: Trigger
    slots: int = 2
    kept: int = 0

    def decide(self, situation: Situation) -> Intent | None:
        """Launch when due and not too soon after the last launch, for the tick at which the answer is due."""
        if not self.trigger.due(situation):
            return None
        if situation.delay_ns == 0:  # one answer tells what to plan with
            return None if situation.in_flight else Intent(None)
        regular = self.slots - self.kept
        spaced = situation.since_launch_ns * regular >= situation.delay_ns
        free = not situation.in_flight or (spaced and situation.in_flight < regular)
        if not free and not situation.changed:
            return None
        return Intent(situation.now_ns + self.trigger.lead_ns(situation), project=True)
