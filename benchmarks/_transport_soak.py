# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images and commands at full rate for long: whether anything grows, or slows down."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from lowlat_nodes.benchmarks._transport_cases import CASES
from lowlat_nodes.benchmarks._transport_pair import Pair

STREAMS: Final = {"images": ("ours_shm", "6mb", 30.0), "commands": ("ours_ipc", "100b", 100.0)}
"""Link, case and rate of each stream."""

_WARM_UP_S: Final = 10.0
_PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") * 1e-6


@dataclass
class _Minute:
    """What happened in one minute, or in the part of one that a short soak has."""

    latencies_ns: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in STREAMS})
    memory_mb: dict[str, list[float]] = field(default_factory=dict)
    descriptors: dict[str, list[int]] = field(default_factory=dict)

    def note(self, process: str, pid: int) -> None:
        """Note the size of a process."""
        proc = Path(f"/proc/{pid}")
        memory_mb = int((proc / "statm").read_text().split()[1]) * _PAGE_MB
        self.memory_mb.setdefault(process, []).append(memory_mb)
        self.descriptors.setdefault(process, []).append(len(list((proc / "fd").iterdir())))

    def figures(self) -> dict[str, Any]:
        """Return quantiles in us, and medians of the sizes."""
        found: dict[str, Any] = {}
        for name, latencies in self.latencies_ns.items():
            p50, p99 = np.quantile(latencies, (0.5, 0.99)) * 1e-3
            found[name] = {"p50_us": round(float(p50), 1), "p99_us": round(float(p99), 1)}
            found[name]["arrived"] = len(latencies)
        found["rss_mb"] = {name: round(statistics.median(of), 2) for name, of in self.memory_mb.items()}
        found["descriptors"] = {name: int(statistics.median(of)) for name, of in self.descriptors.items()}
        return found


def measure(minutes: float) -> dict[str, Any]:
    """Send for so long, and return what each minute was like."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pairs = {name: Pair(link, folder, stack) for name, (link, _, _) in STREAMS.items()}
        pids = {
            f"{name} {end}": getattr(pair, end).pid
            for name, pair in pairs.items()
            for end in ("publisher", "subscriber")
        }
        for pair in pairs.values():
            pair.meet()
        seconds = 60.0 * minutes
        warm_up_s = min(_WARM_UP_S, 0.2 * seconds)
        sent = {}
        for name, (_, case, rate_hz) in STREAMS.items():
            sent[name] = round(rate_hz * (warm_up_s + seconds + 1.0))
            pairs[name].publisher.tell(f"send {case} {sent[name]} {rate_hz}")
        time.sleep(warm_up_s)
        for pair in pairs.values():
            pair.subscriber.ask("taken 0 0")
        found: list[_Minute] = []
        began_s = time.monotonic()
        length_s = min(60.0, seconds / 2)
        while (passed_s := time.monotonic() - began_s) < seconds:
            if passed_s >= len(found) * length_s:
                if found:
                    print(f"minute {len(found)}: {found[-1].figures()}", file=sys.stderr, flush=True)
                found.append(_Minute())
            time.sleep(min(1.0, length_s / 4))
            for name, pair in pairs.items():
                told = pair.subscriber.ask("taken 0 0")
                if told["broken"]:
                    raise RuntimeError(f"{told['broken']} of {name} arrived with other bytes than were sent")
                found[-1].latencies_ns[name] += told["latencies_ns"]
            for process, pid in pids.items():
                found[-1].note(process, pid)
        return {"soak": _figures([minute.figures() for minute in found], seconds)}


def _figures(minutes: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    first, last = minutes[0], minutes[-1]
    expected = {name: rate_hz * seconds for name, (_, _, rate_hz) in STREAMS.items()}
    return {
        "minutes": round(seconds / 60.0, 2),
        "bytes_a_s": round(sum(CASES[case].nbytes * rate_hz for _, case, rate_hz in STREAMS.values())),
        "rss_growth_mb": _growth(first["rss_mb"], last["rss_mb"]),
        "fd_growth": _growth(first["descriptors"], last["descriptors"]),
        **{
            f"{name}_p99_last_to_first": round(last[name]["p99_us"] / first[name]["p99_us"], 3)
            for name in STREAMS
        },
        **{
            f"{name}_arrived_share": round(
                min(1.0, sum(minute[name]["arrived"] for minute in minutes) / expected[name]), 4
            )
            for name in STREAMS
        },
        "by_minute": list(minutes),
    }


def _growth(first: dict[str, float], last: dict[str, float]) -> float:
    """Return by how much the process grew that grew most."""
    return round(max(last[name] - first[name] for name in first), 2)
