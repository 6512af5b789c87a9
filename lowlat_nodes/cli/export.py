# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat export`: turns a checkpoint into the ONNX file that a node runs."""

from __future__ import annotations

from collections.abc import Sequence

from lowlat_nodes.cli.subcommands import Subcommand, Subcommands

KINDS = Subcommands(
    "lowlat export",
    {"detector": Subcommand("lowlat_nodes.cli.export_detector", "a YOLOv10 checkpoint, published or own")},
)


def main(argv: Sequence[str]) -> int:
    """Export what `argv` names; without a name, list what can be."""
    return KINDS.run(argv or ["-h"])
