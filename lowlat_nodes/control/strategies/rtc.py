# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Think while acting, and go on from the plan that is under way: real-time chunking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lowlat_nodes.control.strategies.strategy import Intent, Situation, Trigger


@dataclass(frozen=True, slots=True)
class Rtc:
    """Real-time chunking by guided inpainting (2506.07339).

    The chunk begins at the launch; the policy is shown the targets that the plan has from there on, of which
    those until the answer is expected will be executed anyway, and makes the new chunk agree with them, the
    later ones less and less (`control.prefix`). With back-to-back launches the execution horizon s of the
    paper is the delay, its least value.
    """

    waits: ClassVar[bool] = False
    slots: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"guidance"})
    trigger: Trigger

    def decide(self, situation: Situation) -> Intent | None:
        """Launch when due, with the state as measured and the plan to continue."""
        if not self.trigger.due(situation):
            return None
        now_ns = situation.now_ns
        return Intent(now_ns, aligned=True, committed_until_ns=now_ns + self.trigger.lead_ns(situation))


@dataclass(frozen=True, slots=True)
class RtcTrained(Rtc):
    """Real-time chunking with a policy that learnt to continue a clean prefix (2512.05964)."""

    needs: ClassVar[frozenset[str]] = frozenset({"prefix"})
