# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Streams between two processes: latency beside rclpy and pyzmq, and what becomes of them when things break.

Publisher and subscriber are always two processes. What is compared takes turns within one run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes.benchmarks import (
    _transport_codec,
    _transport_faults,
    _transport_latency,
    _transport_newest,
    _transport_soak,
    _transport_torn,
)
from lowlat_nodes.benchmarks._energy import merged
from lowlat_nodes.benchmarks._transport_machine import machine, missing_ros
from lowlat_nodes.benchmarks._transport_plots import draw

_ROUNDS = 10
_FAULTS = 200
_SOAK_MIN = 30


def measure_latency(options: argparse.Namespace) -> dict[str, Any]:
    """One-way latency of four sizes, ours beside pyzmq, rclpy and a cold copy."""
    latency = _transport_latency
    links = options.links or [*latency.OURS, *latency.PYZMQ, *latency.RCLPY, *latency.MEMCPY]
    if reason := missing_ros():
        links = [link for link in links if link not in latency.RCLPY]
        print(f"rclpy is left out: {reason}", file=sys.stderr)
    scale = 0.05 if options.quick else 1.0
    return latency.measure(links, 2 if options.quick else options.rounds, scale=scale)


def measure_newest(options: argparse.Namespace) -> dict[str, Any]:
    """Age of the newest value: 200 Hz of 1 MB for a consumer of 30 Hz."""
    return _transport_newest.measure(*((1, 0.5) if options.quick else (5, 5.0)))


def measure_codec(options: argparse.Namespace) -> dict[str, Any]:
    """Header and view of an image of 2.8 MB."""
    return _transport_codec.measure(3 if options.quick else 300)


def measure_torn(options: argparse.Namespace) -> dict[str, Any]:
    """Frames that a reader holds while the writer goes on."""
    return _transport_torn.measure(100 if options.quick else 100_000)


def measure_fuzz(options: argparse.Namespace) -> dict[str, Any]:
    """Changed messages against the decoder, and over sockets against whoever listens."""
    from lowlat_nodes.benchmarks import _transport_hostile

    return _transport_hostile.fuzz(*((20_000, 2_000) if options.quick else (10_000_000, 200_000)))


def measure_attacks(_options: argparse.Namespace) -> dict[str, Any]:
    """Clients without keys, with wrong ones, and a handshake that is said again."""
    from lowlat_nodes.benchmarks import _transport_hostile

    return _transport_hostile.attacks()


PARTS: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "latency": measure_latency,
    "newest": measure_newest,
    "codec": measure_codec,
    "torn": measure_torn,
    "fuzz": measure_fuzz,
    "attacks": measure_attacks,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench transport", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--only", metavar="PART[,PART]", help=f"run only these parts of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"of the latencies (default: {_ROUNDS})")
    parser.add_argument(
        "--links",
        nargs="+",
        metavar="LINK",
        help="measure only the latencies of these; ours_zenoh too, on demand",
    )
    parser.add_argument("--quick", action="store_true", help="tiny counts: to see whether it runs")
    parser.add_argument(
        "--faults", type=int, nargs="?", const=_FAULTS, metavar="COUNT", help=f"faults instead ({_FAULTS})"
    )
    parser.add_argument(
        "--soak",
        type=float,
        nargs="?",
        const=_SOAK_MIN,
        metavar="MINUTES",
        help=f"soak instead ({_SOAK_MIN})",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the faults (default: 1)")
    parser.add_argument(
        "--saved", type=Path, nargs="+", metavar="FILE", help="measure nothing: take what --json has printed"
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the figures as SVG there")
    options = parser.parse_args(argv)
    parts = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(parts) - PARTS.keys():
        parser.error(f"expected parts of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    figures = _saved(options.saved) if options.saved else _measured(options, parts)
    if options.plots:
        draw(figures, options.plots)
    if options.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{key}: {value}")
    return 0


def _measured(options: argparse.Namespace, parts: Sequence[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {"machine": machine()}
    if options.faults:
        figures |= _transport_faults.measure(options.faults, options.seed)
    if options.soak:
        figures |= _transport_soak.measure(options.soak)
    if options.faults or options.soak:
        return figures
    for part in parts:
        print(f"{part}: {PARTS[part].__doc__}", file=sys.stderr, flush=True)
        figures = merged(figures, PARTS[part](options))
    return figures


def _saved(files: Sequence[Path]) -> dict[str, Any]:
    """Return the figures of several runs as those of one; the last that has one counts."""
    figures: dict[str, Any] = {}
    for file in files:
        figures = merged(figures, json.loads(file.read_text()))
    return figures


if __name__ == "__main__":
    sys.exit(main())
