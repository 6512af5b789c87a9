# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a search for meters finds."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.energy.figures import Missing
from lowlat_nodes.stream.meter import Meter


@dataclass(frozen=True)
class Found:
    """The meters of a host, or of one kind.

    Attributes:
        meters: Open, each to be closed by whoever asked for it.
        missing: What this host could have and nobody can read, each with the remedy.
    """

    meters: tuple[Meter, ...] = ()
    missing: tuple[Missing, ...] = ()
