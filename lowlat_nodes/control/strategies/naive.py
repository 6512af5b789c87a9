# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Think while acting, as if no time passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lowlat_nodes.control.strategies.strategy import Intent, Situation, Trigger


@dataclass(frozen=True, slots=True)
class NaiveAsync:
    """Plan from the state at launch, and execute after the delay.

    This is what VLASH (2512.01031, section 3) calls prediction-execution misalignment. Its two published
    forms differ in the row that comes first: row 0 on arrival (that paper's definition), or the row that
    belongs to the present (`aligned`, the baseline in the code of real-time chunking, 2506.07339).
    """

    waits: ClassVar[bool] = False
    slots: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    trigger: Trigger
    aligned: bool = False

    def decide(self, situation: Situation) -> Intent | None:
        """Launch when due, with the state as measured."""
        if not self.trigger.due(situation):
            return None
        return Intent(situation.now_ns, aligned=True) if self.aligned else Intent(None)
