# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the policy node."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.control.policies.policy import MOST_STEPS, PolicySpec
from lowlat_nodes.energy.settings import GuardedEnergySettings
from lowlat_nodes.inference.segments.sharing import SharingSettings
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.realtime import RealtimeConfig
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class PolicyNodeConfig(NodeSettings, ControlConfig):
    """Everything that the policy node can be told."""

    start_on_activate: bool = setting(
        True, doc="Whether activation allows motion; otherwise the ~/start service does."
    )
    cheaper_steps: tuple[int, ...] = setting(
        (),
        doc="In how few steps a chunk may be made of noise where an energy budget asks for it, the most "
        "first; for a policy that lets one choose.",
        low=1,
        high=MOST_STEPS,
    )
    turn: SharingSettings = section(SharingSettings, doc="With whom the device of the policy is shared.")
    energy: GuardedEnergySettings = section(GuardedEnergySettings, doc="What results cost, and what one may.")
    realtime: RealtimeConfig = section(RealtimeConfig, doc="Scheduling of the tick process.")

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ConfigurationError: As `ControlConfig` does, and for several processes of a policy at one device.
        """
        super().__post_init__()
        if self.turn.device and self.policy.workers > 1:
            raise ConfigurationError(
                f"policy.workers: inferences that take turns at {self.turn.device} follow each other; "
                f"expected 1 with turn.device, got {self.policy.workers}"
            )

    def steps(self, spec: PolicySpec) -> tuple[int, ...]:
        """Return in how many steps chunks may be made, the most first; 0 for what the policy makes by itself.

        Raises:
            ConfigurationError: If the policy does not let one choose, or makes fewer by itself.
        """
        wanted = (spec.steps, *self.cheaper_steps)
        if self.cheaper_steps and (not spec.steps or list(wanted) != sorted(set(wanted), reverse=True)):
            raise ConfigurationError(
                f"cheaper_steps: expected ever fewer steps, and fewer than the policy makes by itself, which "
                f"is {spec.steps or 'no number that one can choose'}; got {list(self.cheaper_steps)}"
            )
        return (0, *self.cheaper_steps)
