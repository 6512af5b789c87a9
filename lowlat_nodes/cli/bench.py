# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat bench`: runs a benchmark by name, or lists them."""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
from collections.abc import Sequence
from pathlib import Path

import lowlat_nodes.benchmarks
from lowlat_nodes.cli.subcommands import Subcommand, Subcommands


def benchmarks() -> Subcommands:
    """Return every benchmark with the first line of its docstring; none is imported for that."""
    table = {}
    for found in sorted(pkgutil.iter_modules(lowlat_nodes.benchmarks.__path__), key=lambda found: found.name):
        if found.name.startswith("_"):
            continue
        module = f"{lowlat_nodes.benchmarks.__name__}.{found.name}"
        table[found.name] = Subcommand(module, _summary(module))
    return Subcommands("lowlat bench", table)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark that `argv` names; without a name, list them."""
    commands = benchmarks()
    return commands.run(argv or ["-h"])


def _summary(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".")
