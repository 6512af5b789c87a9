# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node is told about its energy."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.energy.guard import GuardSettings
from lowlat_nodes.stream.config import section, setting


@dataclass(frozen=True)
class BudgetSettings:
    """What a node may use, and what it may do to stay below."""

    w: float = setting(0.0, unit="W", low=0.0, high=1e5, live=True, doc="Power of the node; 0 for no budget.")
    j_per_result: float = setting(
        0.0, unit="J", low=0.0, high=1e6, live=True, doc="Energy of one result; 0 for no budget."
    )
    respond: tuple[str, ...] = setting(
        ("warn", "rate", "model"),
        choices=("warn", "rate", "model"),
        doc="What to do on a breach: warn, lower the rate, switch to a cheaper model.",
    )
    floor_hz: float = setting(
        0.0,
        unit="Hz",
        low=0.0,
        high=1e4,
        doc="The rate is never lowered below this; 0 leaves that to the node, which knows its control loop.",
    )
    hold_s: float = setting(
        10.0,
        unit="s",
        low=1.0,
        high=3600.0,
        doc="How long figures must allow it before the rate rises again.",
    )


@dataclass(frozen=True)
class EnergySettings:
    """The group `energy` of every node."""

    enabled: bool = setting(
        True, doc="Whether the node counts its results for the energy sampler of its host."
    )
    budget: BudgetSettings = section(BudgetSettings, doc="What the node may use.")


@dataclass(frozen=True)
class GuardOnly:
    """The group `energy` of a program that is no node, and bounds what a call may cost."""

    guard: GuardSettings = section(GuardSettings, doc="What one call may cost.")


@dataclass(frozen=True)
class GuardedEnergySettings(EnergySettings, GuardOnly):
    """The group `energy` of a node whose calls differ in what they cost."""
