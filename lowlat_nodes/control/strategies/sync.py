# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Think, then act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lowlat_nodes.control.strategies.strategy import Intent, Situation


@dataclass(frozen=True, slots=True)
class Sync:
    """Ask when the plan has run out, and hold meanwhile (the baseline of VLASH, 2512.01031)."""

    waits: ClassVar[bool] = True
    slots: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()

    def decide(self, situation: Situation) -> Intent | None:
        """Launch once nothing is left to execute."""
        return Intent(None) if situation.remaining_ns <= 0 else None
