# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat parameters`: the parameters of a node or a processor as a Markdown table, without ROS running."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from lowlat_nodes.cli.graph import config_type, executables
from lowlat_nodes.nodes import processors
from lowlat_nodes.stream.config import Setting, settings
from lowlat_nodes.stream.errors import ConfigurationError


def table(config: type) -> str:
    """Return the parameters of a configuration class as Markdown; groups appear once, under NAME."""
    head = "| parameter | default | values | meaning |\n|---|---|---|---|"
    return "\n".join([head, *(_row(item) for item in settings(config, template="NAME"))])


def main(argv: Sequence[str]) -> int:
    """Print the table of one node or processor."""
    nodes, known = executables(), processors.names()
    parser = argparse.ArgumentParser(
        prog="lowlat parameters",
        description="List the parameters of a node, or those that a processor has below `parameters`.",
    )
    parser.add_argument(
        "name", help=f"node: {', '.join(nodes)}; processor: {', '.join(known)}, or module:factory"
    )
    name = parser.parse_args(argv).name
    if name not in nodes and name not in known and ":" not in name:
        nearest = difflib.get_close_matches(name, [*nodes, *known], 1)
        hint = (
            f"did you mean {nearest[0]!r}?" if nearest else f"expected one of: {', '.join([*nodes, *known])}"
        )
        parser.error(f"there is no node or processor {name!r}; {hint}")
    found = config_type(name) if name in nodes else processors.config_type(name)
    if found is None:
        node = f"{name}_node"
        hint = (
            f"it has those of {node} that concern it" if node in nodes else "its factory has no config_type"
        )
        raise ConfigurationError(f"the processor {name!r} does not list its parameters: {hint}")
    print(table(found))
    return 0


def _row(item: Setting) -> str:
    default = "required" if item.default is None else f"`{_value(item.default)}`"
    if item.kind is object:
        default = ""
    live = " (live)" if item.live else ""
    cells = (f"`{item.name}`", default, item.describe() + live, item.doc)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)
