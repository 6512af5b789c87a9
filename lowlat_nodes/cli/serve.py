# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat serve`: what other programs may ask for over a network protocol."""

from __future__ import annotations

from collections.abc import Sequence

from lowlat_nodes.cli.subcommands import Subcommand, Subcommands

KINDS = Subcommands(
    "lowlat serve",
    {
        "policy": Subcommand("lowlat_nodes.cli.serve_policy", "the action chunks of a policy"),
        "alerts": Subcommand("lowlat_nodes.cli.serve_alerts", "classifications of alert streams"),
    },
)


def main(argv: Sequence[str]) -> int:
    """Serve what `argv` names; without a name, list what there is."""
    return KINDS.run(argv or ["-h"])
