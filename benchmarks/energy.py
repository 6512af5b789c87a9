# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Energy: how well the cost of a result is found, what the sampler itself costs, budgets and guards.

All power here is simulated, with a known truth, and the result says so.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Sequence

# Each has `measure(quick: bool) -> dict`, with the fields of the result.
PARTS = {
    "regression": "lowlat_nodes.benchmarks._energy_regression",
    "sampler": "lowlat_nodes.benchmarks._energy_sampler",
    "budget": "lowlat_nodes.benchmarks._energy_budget",
    "guard": "lowlat_nodes.benchmarks._energy_guard",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and print their fields."""
    parser = argparse.ArgumentParser(prog="lowlat bench energy", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this one; may be repeated")
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes, and rougher figures"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    figures = {}
    for part in options.part or PARTS:
        figures |= importlib.import_module(PARTS[part]).measure(quick=options.quick)
    if options.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        print(f"{name}: {json.dumps(value)}")
    return 0
