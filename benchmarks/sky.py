# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How fast the sky is simulated that the alert classifiers learn from, and what is seen of it.

docs/sky.md explains the figures. All of them are of a simulation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.benchmarks._sky_plots import draw
from lowlat_nodes.sim.sky.population import generate
from lowlat_nodes.sim.sky.surveys import SURVEYS

_PERCENTILES = (5, 25, 50, 75, 95)


def run(*, count: int = 12_000, seed: int = 1) -> dict[str, Any]:
    """Simulate alerts in one process and return how fast that went and what was detected.

    Args:
        count: How many alerts.
        seed: Of the sky.
    """
    generate(100, seed + 1)  # tables of spectra and dust are read once
    with Metered() as energy:
        started_ns = time.process_time_ns()
        curves, labels, surveys = generate(count, seed)
        seconds = (time.process_time_ns() - started_ns) * 1e-9
    detections = np.add.reduceat(curves.detected.astype(int), curves.offsets[:-1])
    epochs = np.diff(curves.offsets)
    return {
        "objects_per_cpu_s": round(count / seconds),
        "epochs_per_object": round(float(epochs.mean()), 1),
        "detections_percentiles": list(_PERCENTILES),
        "detections": {
            name: {
                survey: _summary(detections[(labels == label) & (surveys == code)])
                for code, survey in enumerate(SURVEYS)
            }
            for label, name in enumerate(CLASSES)
        },
        "energy": {"simulation": energy.plain("object", count)},
    }


def _summary(detections: NDArray[np.int64]) -> dict[str, Any]:
    if not len(detections):
        return {"objects": 0}
    return {
        "objects": len(detections),
        "percentiles": np.percentile(detections, _PERCENTILES).round().astype(int).tolist(),
        "single": round(float((detections == 1).mean()), 3),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench sky", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--count", type=int, default=12_000, help="alerts to simulate (default: 12000)")
    parser.add_argument("--seed", type=int, default=1, help="of the sky (default: 1)")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw a light curve of each class there")
    options = parser.parse_args(argv)
    figures = run(count=options.count, seed=options.seed)
    if options.plots:
        draw(options.seed, options.plots)
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
        print(json.dumps(figures | {"machine": machine}))
        return 0
    print(f"{figures['objects_per_cpu_s']} objects per second and core")
    print(f"{figures['epochs_per_object']} epochs each")
    for name, by_survey in figures["detections"].items():
        for survey, found in by_survey.items():
            print(f"{name:22}{survey:11}{found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
