# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Energy: how well the cost of a result is found, what the sampler itself costs, budgets and guards.

All power here is simulated, with a known truth, and the result says so. docs/bench_energy.md explains the
figures.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.benchmarks._energy_plots import draw
from lowlat_nodes.benchmarks._transport_machine import missing_ros
from lowlat_nodes.stream.errors import MissingExtra

# Each has `measure(quick: bool) -> dict`, with the fields of the result.
PARTS = {
    "regression": "lowlat_nodes.benchmarks._energy_regression",
    "sampler": "lowlat_nodes.benchmarks._energy_sampler",
    "budget": "lowlat_nodes.benchmarks._energy_budget",
    "guard": "lowlat_nodes.benchmarks._energy_guard",
}
NEED_ROS = {"budget"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and print their fields."""
    parser = argparse.ArgumentParser(prog="lowlat bench energy", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--part", choices=list(PARTS), action="append", help="run only this one; repeatable")
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes, and rougher figures"
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the figures as SVG there")
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {}
    parts = list(dict.fromkeys(options.part or PARTS))
    if missing_ros() and not options.part:
        figures["left_out"] = {part: f"rclpy: {missing_ros()}" for part in NEED_ROS}
        parts = [part for part in parts if part not in NEED_ROS]
    elif missing_ros() and NEED_ROS.intersection(parts):
        raise MissingExtra("rclpy", extra="ros")
    for part in parts:
        module = importlib.import_module(PARTS[part])
        print(f"{part}: {(module.__doc__ or '').splitlines()[0]}", file=sys.stderr, flush=True)
        figures |= module.measure(quick=options.quick)
    figures["machine"] = {
        "cpus": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    if options.plots:
        for path in draw(figures, options.plots):
            print(f"wrote {path}", file=sys.stderr)
    if options.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{key}: {json.dumps(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
