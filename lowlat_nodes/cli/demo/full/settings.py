# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the whole graph was told to do; kept beside its records so that they can be read again."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.cli.demo.kept import Kept


@dataclass(frozen=True)
class FullSettings(Kept):
    """The settings of a run.

    Attributes:
        seconds: From the first light on.
        lights: How many lights go on in that time.
        alerts: How many alerts are sent.
        nodes: Names of the nodes, in the order of the parameter file.
        picture: The detector's camera whose picture is kept; empty for none.
    """

    seconds: float
    lights: int
    alerts: int
    nodes: tuple[str, ...]
    picture: str = ""
