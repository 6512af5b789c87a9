# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the alert node."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.energy.settings import GuardedEnergySettings
from lowlat_nodes.nodes.alert_settings import AlertSettings
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.stream.config import section, setting


@dataclass(frozen=True, kw_only=True)
class AlertNodeConfig(NodeSettings, AlertSettings):
    """Everything that the alert node can be told."""

    energy: GuardedEnergySettings = section(GuardedEnergySettings, doc="What results cost, and what one may.")
    publish: bool = setting(
        True, doc="Whether results go to ROS topics; off where ROS would be the slowest of the outputs."
    )
