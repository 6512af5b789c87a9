# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How processes without a node of their own count results for the energy sampler of their host."""

from __future__ import annotations

import atexit
import sys
from typing import Protocol

from lowlat_nodes.energy.tally import Tally
from lowlat_nodes.stream.errors import ConfigurationError

CHUNK = "chunk"
"""What a policy makes: the actions that it answers one observation with."""


class Counts(Protocol):
    """Counts results and the work on them, as `energy.tally.Tally` does."""

    def begin(self, bucket: str = "") -> None:
        """Count that work on a result begins."""

    def done(self, results: int = 1, bucket: str = "") -> None:
        """Count results that went out."""

    def cpu(self, ns: int, bucket: str = "") -> None:
        """Add CPU time that the work took."""


class Nowhere:
    """Counts that nobody reads."""

    def begin(self, bucket: str = "") -> None:
        """Do nothing."""

    def done(self, results: int = 1, bucket: str = "") -> None:
        """Do nothing."""

    def cpu(self, ns: int, bucket: str = "") -> None:
        """Do nothing."""


def open_counts(name: str, unit: str) -> Counts:
    """Return counts for the sampler until this process ends; where there can be none, print why.

    A node may count in several processes: the sampler adds up what has the same name, and charges it with
    the time of each of them.

    Args:
        name: Full name of the node, or what heartbeats call the process; empty counts nowhere.
        unit: What a result is.
    """
    if not name:
        return Nowhere()
    try:
        tally = Tally(name, unit)
    except ConfigurationError as error:
        print(f"results are not counted: {error}", file=sys.stderr, flush=True)
        return Nowhere()
    atexit.register(tally.close)
    return tally
