# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line of what trains a classifier of alerts on the simulated sky."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from lowlat_nodes.stream.errors import MissingExtra


def parse(
    argv: Sequence[str] | None,
    *,
    program: str,
    description: str | None,
    name: str,
    minutes: float,
    objects: int,
    test_objects: int,
) -> argparse.Namespace:
    """Return the options, checked; the last three arguments are defaults of theirs.

    Raises:
        MissingExtra: If a library that training needs is not installed.
    """
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--out", type=Path, default=Path("trained"), help=f"gets {name}.onnx and {name}.md")
    parser.add_argument("--minutes", type=float, default=minutes, help="to train for (default: %(default)g)")
    parser.add_argument(
        "--clock",
        choices=("cpu", "wall"),
        default="cpu",
        help="minutes of CPU, all threads counted, or minutes that pass (default: cpu)",
    )
    parser.add_argument("--objects", type=int, default=objects, help="to train on (default: %(default)d)")
    parser.add_argument(
        "--test-objects", type=int, default=test_objects, help="to judge by (default: %(default)d)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and sky (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, processes too (default: 1)")
    parser.add_argument(
        "--sky",
        type=Path,
        default=Path("trained/sky"),
        help="keeps what was simulated (default: %(default)s)",
    )
    options = parser.parse_args(argv)
    if options.minutes <= 0.0 or min(options.objects, options.test_objects, options.threads) < 1:
        parser.error(
            "expected --minutes above 0, and --objects, --test-objects and --threads of at least 1, got "
            f"{options.minutes:g}, {options.objects}, {options.test_objects} and {options.threads}"
        )
    for module, extra in (("torch", "train"), ("onnx", "train"), ("sncosmo", "sky")):
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(module, extra=extra)
    options.program = program
    return options


def command_line(options: argparse.Namespace) -> str:
    """Return the command that trains the same again."""
    return (
        f"{options.program} --minutes {options.minutes:g} --clock {options.clock} "
        f"--objects {options.objects} --test-objects {options.test_objects} --seed {options.seed}"
    )
