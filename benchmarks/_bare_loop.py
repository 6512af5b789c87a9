# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An empty periodic loop: what the machine itself does to deadlines.

It keeps the grid of the policy node's tick, shifted, so that it wakes while that one sleeps: both see the
same stalls of the machine, and neither waits for the other. Lines of input begin and end measurements in
turns; at the end of one its figures are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from collections.abc import Sequence

from lowlat_nodes.nodes.realtime import RealtimeConfig, apply, sleep_until
from lowlat_nodes.stream.histogram import Histogram

SHARES = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}


def late_us(histogram: Histogram) -> dict[str, float]:
    """Return the quantiles `SHARES` in microseconds."""
    quantiles = histogram.quantiles(SHARES.values())
    return {name: value * 1e-3 for name, value in zip(SHARES, quantiles, strict=True)}


def measure(tick_ns: int, phase_ns: int) -> dict[str, object]:
    """Return the lateness, how many deadlines passed by unseen, and when they did."""
    late, stalls = Histogram(), 0
    stood_still: list[tuple[int, int]] = []
    deadline_ns = (time.monotonic_ns() // tick_ns + 2) * tick_ns + phase_ns
    while not select.select([sys.stdin], [], [], 0.0)[0]:
        sleep_until(deadline_ns)
        now_ns = time.monotonic_ns()
        late.record(now_ns - deadline_ns)
        skipped = (now_ns - deadline_ns) // tick_ns
        if skipped:
            stood_still.append((deadline_ns, now_ns))
        stalls += skipped
        deadline_ns += (1 + skipped) * tick_ns
    return {"late_us": late_us(late), "stalls": stalls, "stood_still_ns": stood_still}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the end of the input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tick-ns", type=int, required=True)
    parser.add_argument("--priority", type=int, required=True)
    parser.add_argument(
        "--phase-ns", type=int, required=True, help="of deadlines after multiples of the tick"
    )
    parser.add_argument("--cpu", type=int, help="the core to stay on; any unless given")
    options = parser.parse_args(argv)
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    apply(RealtimeConfig(priority=options.priority))
    while sys.stdin.readline():
        print(json.dumps(measure(options.tick_ns, options.phase_ns)), flush=True)
        sys.stdin.readline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
