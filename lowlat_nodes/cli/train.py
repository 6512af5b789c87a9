# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat train`: makes a shipped model anew, from its data to the file in models/, or adapts one."""

from __future__ import annotations

from collections.abc import Sequence

from lowlat_nodes.cli.subcommands import Subcommand, Subcommands

MODELS = Subcommands(
    "lowlat train",
    {
        "policy": Subcommand("lowlat_nodes.train.policy", "the policies of the three simulated tasks"),
        "adapt": Subcommand("lowlat_nodes.train.adapt", "such a policy to a robot, from a dataset of it"),
        "detector": Subcommand("lowlat_nodes.train.detector", "YOLOv10 on rendered shapes, within a budget"),
        "alerts": Subcommand(
            "lowlat_nodes.train.alerts.command", "the classifier of alerts, on a simulated sky"
        ),
        "t2": Subcommand(
            "lowlat_nodes.train.t2.command", "t2, the published classifier of alerts, on the same sky"
        ),
    },
)


def main(argv: Sequence[str]) -> int:
    """Train the model that `argv` names; without a name, list them."""
    return MODELS.run(argv or ["-h"])
