# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat parameters`: the parameters of a node as a Markdown table, without ROS running."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lowlat_nodes.cli.graph import config_type, executables
from lowlat_nodes.stream.config import Setting, settings


def table(node: str) -> str:
    """Return the parameters of a node as Markdown; groups appear once, under NAME."""
    head = "| parameter | default | values | meaning |\n|---|---|---|---|"
    return "\n".join([head, *(_row(item) for item in settings(config_type(node), template="NAME"))])


def main(argv: Sequence[str]) -> int:
    """Print the table of one node."""
    parser = argparse.ArgumentParser(prog="lowlat parameters", description=__doc__)
    parser.add_argument("node", choices=list(executables()))
    print(table(parser.parse_args(argv).node))
    return 0


def _row(item: Setting) -> str:
    default = "required" if item.default is None else f"`{_value(item.default)}`"
    live = " (live)" if item.live else ""
    cells = (f"`{item.name}`", default, item.describe() + live, item.doc)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)
