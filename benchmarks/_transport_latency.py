# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One-way latency of every transport, in rounds: each round measures all of them, in random order.

What disturbs the machine for a while disturbs all of them alike; figures are medians over the rounds, and a
ratio is the median of the ratios within rounds.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from lowlat_nodes.benchmarks._instrument import Instrument
from lowlat_nodes.benchmarks._plain_ros import plain_environment
from lowlat_nodes.benchmarks._transport_cases import CASES
from lowlat_nodes.benchmarks._transport_pair import WARM_UP, Pair

OURS: Final = ("ours_shm", "ours_loan", "ours_ipc", "ours_tcp")
PYZMQ: Final = ("pyzmq_copy_ipc", "pyzmq_copy_tcp", "pyzmq_nocopy_ipc")
RCLPY: Final = (
    "rclpy_tuned_reliable",
    "rclpy_tuned_best_effort",
    "rclpy_default_reliable",
    "rclpy_default_best_effort",
)
MEMCPY: Final = ("memcpy", "memcpy_slots")
"""A copy to other memory each time, and one to as many slots as shared memory has."""

_US: Final = 1e-3  # of a ns

Turns = Mapping[str, Mapping[str, Sequence[Sequence[int]]]]
"""The latencies in ns of each turn, by case and link."""


class _Copier:
    """Copies in a process of its own, as often as messages are sent."""

    def __init__(self, link: str, stack: ExitStack) -> None:
        self._process = Instrument("_transport_end", role="copier", link=link)
        stack.callback(self._process.end)
        self.schedulers = {self._process.hear()["scheduler"]}

    def turn(self, case: str, count: int) -> tuple[dict[str, Any], int]:
        """Return how long so many copies took."""
        told = self._process.ask(f"copy {case} {WARM_UP + count}")
        return {**told, "latencies_ns": told["latencies_ns"][WARM_UP:]}, count


def measure(links: Sequence[str], rounds: int, *, scale: float = 1.0) -> dict[str, Any]:
    """Return the latencies of the links in every case.

    Args:
        links: Names out of `OURS`, `PYZMQ`, `RCLPY` and `MEMCPY`.
        rounds: How many turns each link has in each case.
        scale: Of the messages in a turn.
    """
    turns: dict[str, dict[str, list[list[int]]]] = {name: {link: [] for link in links} for name in CASES}
    sent: dict[str, dict[str, int]] = {name: dict.fromkeys(links, 0) for name in CASES}
    broken = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = plain_environment(str(folder))
        ends: dict[str, Any] = {}
        for link in links:
            print(f"starts {link}", file=sys.stderr, flush=True)
            ends[link] = _Copier(link, stack) if link in MEMCPY else Pair(link, folder, stack, environment)
        for end in ends.values():
            if isinstance(end, Pair):
                end.meet()
        for number in range(rounds):
            order = [(case, link) for case in CASES for link in links]
            random.shuffle(order)
            for case, link in order:
                told, count = ends[link].turn(case, max(1, round(CASES[case].count * scale)))
                turns[case][link].append(told["latencies_ns"])
                sent[case][link] += count
                broken += told["broken"]
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        schedulers = sorted(set().union(*(end.schedulers for end in ends.values())))
    if broken:
        raise RuntimeError(f"{broken} messages arrived with other bytes than were sent")
    return {"latency": _summary(turns, sent), "schedulers": schedulers, **claims(turns)}


def _summary(turns: Turns, sent: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {
        case: {
            link: {
                "p50_us": _us(_median(found)) if any(found) else None,
                "p99_us": _us(_p99(found)) if any(found) else None,
                "p50_us_by_round": [_us(statistics.median(turn)) for turn in found if turn],
                "sent": sent[case][link],
                "arrived": sum(map(len, found)),
            }
            for link, found in links.items()
        }
        for case, links in turns.items()
    }


def claims(turns: Turns) -> dict[str, Any]:
    """Return the named figures for which there is all that they compare."""
    large, small = turns["6mb"], turns["100b"]
    ours = "ours_shm"
    figures: dict[str, Any] = {}
    if ours in large and MEMCPY[0] in large:
        figures["shm_6mb"] = {
            "p50_us": _us(_median(large[ours])),
            "p99_us": _us(_p99(large[ours])),
            "memcpy_us": _us(_median(large[MEMCPY[0]])),
            "ratio_to_memcpy": ratio(large[ours], large[MEMCPY[0]]),
        }
    if ours in large and MEMCPY[1] in large:
        figures["shm_6mb_ratio_to_memcpy_slots"] = ratio(large[ours], large[MEMCPY[1]])
    for name, others in (
        ("speedup_vs_tuned_rclpy_6mb", RCLPY[:2]),
        ("speedup_vs_default_rclpy_6mb", RCLPY[2:3]),
        ("speedup_vs_pyzmq_copy_6mb", PYZMQ[:2]),
    ):
        found = [other for other in others if any(large.get(other, ()))]
        if ours in large and found:
            rival = min(found, key=lambda other: _median(large[other]))
            figures[name] = ratio(large[rival], large[ours])
            figures[f"{name}_rival"] = rival
    if "ours_ipc" in small and PYZMQ[0] in small:
        figures["small_100b"] = {
            "p50_us": _us(_median(small["ours_ipc"])),
            "bare_p50_us": _us(_median(small[PYZMQ[0]])),
            "p50_ratio_to_bare_zmq": ratio(small["ours_ipc"], small[PYZMQ[0]]),
        }
    return figures


def ratio(above: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> float:
    """Return the median over the rounds of the ratio of medians, where both have messages."""
    pairs = [pair for pair in zip(above, below, strict=True) if all(pair)]
    if not pairs:
        raise RuntimeError("expected messages of both in one round at least")
    return round(statistics.median(statistics.median(a) / statistics.median(b) for a, b in pairs), 3)


def _median(turns: Iterable[Sequence[int]]) -> float:
    return statistics.median(statistics.median(turn) for turn in turns if turn)


def _p99(turns: Iterable[Sequence[int]]) -> float:
    everything = sorted(ns for turn in turns for ns in turn)
    return everything[min(len(everything) - 1, len(everything) * 99 // 100)]


def _us(ns: float) -> float:
    return round(ns * _US, 2)
