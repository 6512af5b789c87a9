# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter file of one run: what the user's says, and what a run has to itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.graph import UP, Graph
from lowlat_nodes.nodes.parameter_file import PARAMETERS, parameters_of

FILE = "parameters.yaml"

Overrides = Mapping[str, Mapping[str, Any]]
"""Parameters by dotted name, by name of the node."""


def write(path: Path, graph: Graph, overrides: Overrides) -> None:
    """Write down what each node of a graph is told, one section for each.

    The file is YAML that is JSON, where every value has but one type.

    Args:
        path: A new file.
        graph: The nodes and what the user's file says of them.
        overrides: Have the last word; those of nodes that the graph lacks are left out.
    """
    sections = {
        process.node: {
            **parameters_of(process.node, graph.sections),
            **overrides.get(process.node.lstrip("/"), {}),
        }
        for process in graph.nodes
    }
    ours = parameters_of(f"/{UP}", [section for section in graph.sections if section.name == UP])
    if ours:
        sections[UP] = ours
    text = json.dumps({name: {PARAMETERS: values} for name, values in sections.items()}, indent=2)
    path.write_text(f"# What each node of this run was told.\n{text}\n", encoding="utf-8")
