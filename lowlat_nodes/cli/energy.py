# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat energy`: what is measured here, who uses how much, and what a model would cost."""

from __future__ import annotations

from collections.abc import Sequence

from lowlat_nodes.cli.subcommands import Subcommand, Subcommands

COMMANDS = Subcommands(
    "lowlat energy",
    {
        "meters": Subcommand(
            "lowlat_nodes.cli.energy_meters", "list the meters of this machine, and what is missing"
        ),
        "show": Subcommand("lowlat_nodes.cli.energy_show", "show who uses how much, live; draw it over time"),
        "count": Subcommand(
            "lowlat_nodes.cli.energy_count", "count the operations of an ONNX model, and estimate its energy"
        ),
    },
)


def main(argv: Sequence[str]) -> int:
    """Run the subcommand that `argv` names."""
    return COMMANDS.run(argv)
