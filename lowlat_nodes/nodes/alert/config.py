# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the alert node."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.energy.settings import GuardedEnergySettings
from lowlat_nodes.inference.segments.sharing import SharingSettings
from lowlat_nodes.nodes.alert.settings import AlertSettings
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class AlertNodeConfig(NodeSettings, AlertSettings):
    """Everything that the alert node can be told."""

    energy: GuardedEnergySettings = section(GuardedEnergySettings, doc="What results cost, and what one may.")
    turn: SharingSettings = section(
        SharingSettings,
        doc="With whom the device is shared that classifies; alerts are read outside of turns.",
    )
    publish: bool = setting(
        True, doc="Whether results go to ROS topics; off where ROS would be the slowest of the outputs."
    )

    def __post_init__(self) -> None:
        """Refuse what would lose alerts.

        Raises:
            ConfigurationError: If a batch were to fail that waits for the device.
        """
        if self.turn.timeout_ms:
            raise ConfigurationError(
                f"turn.timeout_ms: expected 0, as alerts wait until they are classified and none is lost; "
                f"got {self.turn.timeout_ms:g} ms"
            )
