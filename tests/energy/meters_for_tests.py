# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A meter that counts what a test says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.meter import Kind, Reading


@dataclass
class Told:
    """A counter in the hands of a test; without `moved_ns` it moves with each reading."""

    clock: Clock
    name: str = "told/cpu"
    device: str = "cpu"
    covers: tuple[str, ...] = ("cpu",)
    part_of: str = ""
    fake: str = "told by a test"
    joules: float = 0.0
    kind: Kind = Kind.MEASURED
    breaks: int = 0
    why: str = ""
    moved_ns: int = -1
    idle_w: float = math.nan
    closed: bool = False

    def read(self) -> Reading:
        moved_ns = self.clock.now_ns() if self.moved_ns < 0 else self.moved_ns
        return Reading(self.joules, moved_ns, self.kind, 0.1, 0.001, self.breaks, self.why, self.idle_w)

    def close(self) -> None:
        self.closed = True
