# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the policy node."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.control.config import ControlConfig
from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.realtime import RealtimeConfig
from lowlat_nodes.stream.config import section, setting


@dataclass(frozen=True, kw_only=True)
class PolicyNodeConfig(NodeSettings, ControlConfig):
    """Everything that the policy node can be told."""

    start_on_activate: bool = setting(
        True, doc="Whether activation allows motion; otherwise the ~/start service does."
    )
    realtime: RealtimeConfig = section(RealtimeConfig, doc="Scheduling of the tick process.")
