# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What every energy meter is: a counter of joules that says how it knows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Kind(str, Enum):
    """How a figure of energy is known; figures of different kinds are never added."""

    MEASURED = "measured"
    MODELLED = "modelled"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter says at one moment.

    Attributes:
        joules: Counted since the meter was opened; never falls.
        time_ns: When the counter was read, or last moved where the meter can tell; steady clock.
        kind: Unavailable while the meter cannot be read; `joules` and `time_ns` are then the last known.
        period_s: Time between two changes of the counter; 0 for one that changes with each reading.
        resolution_j: Smallest step of the counter.
        breaks: How often the counter has started anew, or was away: what was used across a break is unknown,
            and is not in `joules`.
        why: Why it is unavailable, with the remedy; what a model takes for granted; empty for a measurement.
        idle_w: What there would be without work, where the meter knows that, as a model does; NaN otherwise.
    """

    joules: float
    time_ns: int
    kind: Kind
    period_s: float
    resolution_j: float
    breaks: int = 0
    why: str = ""
    idle_w: float = math.nan


class Meter(Protocol):
    """A cumulative counter of energy; used by one thread.

    Attributes:
        name: Unique on its host, such as `rapl/package-0`, `nvml/0`, `ina3221/VDD_IN`.
        device: Whose work moves it: `cpu`, `gpu0`, `gpu1`, ..., `memory`; `other` where it is none of these,
            or more than one; `board` and `battery` for all.
        covers: The parts that its figure is of; more than one on a shared rail: `("cpu", "gpu", "cv")`.
        fake: What stands behind it where that is no hardware, such as `simulated`; empty for a real meter.
    """

    name: str
    device: str
    covers: tuple[str, ...]
    fake: str

    @property
    def part_of(self) -> str:
        """Name of the meter whose figure includes this one's, so that nobody adds both; empty for none.

        It may change with each reading, because a meter that does not count includes nothing.
        """
        ...

    def read(self) -> Reading:
        """Return the present reading; never raises, and takes microseconds."""
        ...

    def close(self) -> None:
        """Release what the meter holds."""
        ...
