# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the page of `lowlat dash` holds in a browser after a long look at a running graph.

The nodes of a parameter file run on a ROS domain of their own, headless Chromium has the page open, and one
node after the other is killed and started again. docs/dash.md explains the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes.benchmarks._chromium import Chromium
from lowlat_nodes.cli.demo.processes import Processes
from lowlat_nodes.cli.demo.run import own_domain

_STARTED = re.compile(r"(\w+): started \(pid (\d+)\)")
_ADDRESS = re.compile(r"http://\S+")
_MB = 1e-6
_START_S = 120.0
_CARDS = "document.querySelectorAll('.node').length"
_SEQUENCE = "Number(document.body?.dataset.sequence ?? 0)"
_TROUBLE = "document.querySelectorAll('.node[data-group=trouble]').length"


def run(
    *,
    file: str = "full.yaml",
    seconds: float = 600.0,
    settle_s: float = 60.0,
    restart_s: float = 60.0,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Look at the page for some time and return what the browser held before and after.

    Args:
        file: Parameter file of the nodes, or the name of one in config/.
        seconds: How long.
        settle_s: How long the page is open before that; until then there are ever more nodes and points.
        restart_s: A node is killed each time this has passed, and `lowlat up` starts it again; 0 for never.
        pictures: Folder for pictures of the page at the end.

    Raises:
        ProcessError: If `lowlat up` or `lowlat dash` ends.
        TimeoutError: If the page shows no node within two minutes.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        domain = stack.enter_context(own_domain())
        environment = os.environ | {
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "LOWLAT_ENERGY_DIR": str(folder / "energy"),
            "PYTHONUNBUFFERED": "1",
        }
        (folder / "energy").mkdir()
        processes = stack.enter_context(Processes(folder, environment))
        lowlat = [sys.executable, "-m", "lowlat_nodes.cli.main"]
        processes.start("up", [*lowlat, "up", file, "--log-dir", str(folder)])
        processes.start("dash", [*lowlat, "dash", "--port", "0"], piped=True)
        address = next(filter(None, map(_ADDRESS.search, processes.lines("dash")))).group()
        browser = stack.enter_context(Chromium())
        browser.open(address)
        browser.wait(f"{_CARDS} > 0", within_s=_START_S)
        _pass(browser, processes, settle_s)
        nodes = browser.evaluate(_CARDS)
        heap, sequence, began_s = [browser.heap_bytes()], browser.evaluate(_SEQUENCE), time.monotonic()
        kills = 0
        for turn in itertools.count(1):
            left_s = began_s + seconds - time.monotonic()
            if left_s <= 0.0:
                break
            if restart_s and left_s > 2 * restart_s:
                kills += _kill(folder / "up.log", turn)
            _pass(browser, processes, min(restart_s or 60.0, left_s))
            heap.append(browser.heap_bytes())
        snapshots = browser.evaluate(_SEQUENCE) - sequence
        counters = browser.send("Memory.getDOMCounters")
        figures = {
            "seconds": round(time.monotonic() - began_s, 1),
            "snapshots": snapshots,
            "snapshots_per_s": round(snapshots / (time.monotonic() - began_s), 2),
            "nodes": nodes,
            "nodes_at_end": browser.evaluate(_CARDS),
            "in_trouble_at_end": browser.evaluate(_TROUBLE),
            "restarts": kills,
            "heap_start_mb": round(heap[0] * _MB, 3),
            "heap_end_mb": round(heap[-1] * _MB, 3),
            "growth_mb": round((heap[-1] - heap[0]) * _MB, 3),
            "heap_mb": [round(each * _MB, 3) for each in heap],
            "elements_at_end": counters["nodes"],
            "console_errors": len(browser.errors),
            "errors": browser.errors[:10],
            "origins": len(browser.origins),
            "browser": browser.send("Browser.getVersion")["product"],
        }
        if pictures is not None:
            take_pictures(browser, pictures)
        return figures


def _pass(browser: Chromium, processes: Processes, seconds: float) -> None:
    """Let time pass; the page is asked now and then, as what it reports must be taken."""
    ends_s = time.monotonic() + seconds
    while (left_s := ends_s - time.monotonic()) > 0.0:
        time.sleep(min(left_s, 1.0))
        processes.check()
        browser.evaluate("0")


def _kill(log: Path, turn: int) -> int:
    """Kill one of the nodes that `lowlat up` has started, each time another one; return how many were."""
    newest = dict(_STARTED.findall(log.read_text(encoding="utf-8", errors="replace")))
    if not newest:
        return 0
    name = sorted(newest)[turn % len(newest)]
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(newest[name]), signal.SIGKILL)
        return 1
    return 0


def take_pictures(browser: Chromium, folder: Path) -> None:
    """Write the page as a wide and as a narrow window shows it, light and dark, to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (width, height) in {"wide": (1600, 1000), "narrow": (390, 844)}.items():
        for dark in (False, True):
            browser.resize(width, height)
            browser.colours(dark=dark)
            # The plots take their new size, and their new colours, with what comes next.
            here = browser.evaluate(_SEQUENCE)
            browser.wait(f"{_SEQUENCE} > {here} + 4")
            browser.picture(folder / f"dash_{name}{'_dark' if dark else ''}.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench dash_page", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument(
        "--file", default="full.yaml", help="parameter file of the nodes (default: full.yaml)"
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to look (default: 600)")
    parser.add_argument(
        "--settle", type=float, default=60.0, metavar="S", help="and before that (default: 60)"
    )
    parser.add_argument(
        "--restart", type=float, default=60.0, metavar="S",
        help="kill a node each time this has passed; 0: never (default: 60)",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="take pictures of the page at the end"
    )
    options = parser.parse_args(argv)
    figures = run(
        file=options.file,
        seconds=options.seconds,
        settle_s=options.settle,
        restart_s=options.restart,
        pictures=options.pictures,
    )
    if options.json:
        print(json.dumps({**figures, "machine": platform.machine(), "cores": os.cpu_count()}))
        return 0
    print(f"{figures['snapshots']} snapshots of {figures['nodes']} nodes in {figures['seconds']:.0f} s")
    print(f"heap: {figures['heap_start_mb']:.2f} MB, then {figures['heap_end_mb']:.2f} MB")
    print(f"restarts of nodes: {figures['restarts']}, errors of the page: {figures['console_errors']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
