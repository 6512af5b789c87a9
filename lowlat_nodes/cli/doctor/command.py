# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line of `lowlat doctor`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, cast

import lowlat_nodes
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, Level, problem
from lowlat_nodes.cli.doctor.rendering import Page
from lowlat_nodes.cli.doctor.requirements import NAME, pip
from lowlat_nodes.stream.errors import LowlatError

CHECKS = {
    "installation": "Python, this package, its executables and extras",
    "ros": "rclpy, its middleware, and who hears of whom",
    "memory": "room in /dev/shm",
    "leftovers": "shared memory of processes that were killed",
    "realtime": "what the tick of a control node may ask the kernel for",
    "clock": "synchronisation, steps, resolution",
    "gpu": "driver, and what of the libraries fits it",
    "energy": "meters",
    "models": "model files and their cards",
    "limits": "open files, socket buffers, disk space",
    "folders": "where processes meet, and who may write there",
    "plugins": "what other packages register with this one",
    "dds": "images sent from one process to another, and how many were lost",
}
"""Each check by name, in order, the longest last; a module of this package is named after it."""

EXIT_PROBLEM = 1


def main(argv: Sequence[str]) -> int:
    """Run `lowlat doctor`.

    Returns:
        0; 1 if there is a problem, which a warning is not.
    """
    options = _parser().parse_args(argv)
    examination = Examination(os.environ, images=not options.no_dds)
    names = [name for name in CHECKS if name in options.only] if options.only else list(CHECKS)
    began_s = time.monotonic()
    findings: list[tuple[str, Finding]] = []
    page = None if options.json else Page(sys.stdout)
    if page:
        page.title(f"lowlat_nodes {lowlat_nodes.__version__} on {platform.node()}")
    for name in names:
        if page:
            page.heading(name, CHECKS[name])
        for finding in look(name, examination):
            findings.append((name, finding))
            if page:
                page.show(finding)
    levels = [finding.level for _, finding in findings]
    if page:
        page.summary(levels)
    else:
        print(json.dumps(_document(findings, time.monotonic() - began_s)))
    return EXIT_PROBLEM if Level.PROBLEM in levels else 0


def look(name: str, examination: Examination) -> Iterator[Finding]:
    """Yield what a check finds; a check that fails itself is a finding too."""
    try:
        module = importlib.import_module(f"lowlat_nodes.cli.doctor.{name}")
        check = cast("Callable[[Examination], Iterable[Finding]]", module.check)
        yield from check(examination)
    except ImportError as error:  # of a library that the installation lacks, or that does not load
        mend = pip("install", "--force-reinstall", NAME)
        yield problem("this check", f"It needs a library that does not load: {error}.", mend)
    except (OSError, LowlatError, ValueError) as error:
        yield problem("this check", f"It could not be done: {error}")


def _document(findings: Sequence[tuple[str, Finding]], seconds: float) -> dict[str, Any]:
    counted = {
        f"{level.value}s": sum(finding.level is level for _, finding in findings)
        for level in (Level.PROBLEM, Level.WARNING, Level.NOTE)
    }
    rows = [
        {"check": name, **asdict(finding), "level": finding.level.value, "mend": list(finding.mend)}
        for name, finding in findings
    ]
    return {
        "version": lowlat_nodes.__version__,
        "host": platform.node(),
        "seconds": seconds,
        **counted,
        "findings": rows,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowlat doctor",
        description="Find what is wrong with this machine, and name the command that mends it. Changes "
        "nothing, needs no root, and ends within 30 seconds.",
        epilog="checks:\n" + "\n".join(f"  {name:<13} {what}" for name, what in CHECKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=CHECKS, metavar="NAME", help="this check; repeatable"
    )
    parser.add_argument("--no-dds", action="store_true", help="send no images (saves some 6 to 12 seconds)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
