# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How old the newest value is for a consumer that is slower than its producer."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.benchmarks._instrument import Instrument
from lowlat_nodes.benchmarks._transport_newest_reader import RATE_HZ
from lowlat_nodes.benchmarks._transport_pair import address_of

PRODUCER_HZ: Final = 200.0
_INLINE: Final = ("ours_ipc", "ours_tcp")
LINKS: Final = (*_INLINE, "ours_shm", "pyzmq_hwm1_ipc", "pyzmq_hwm1_tcp")
_MEETINGS: Final = 20


class _Pair:
    """A producer and a consumer.

    Attributes:
        energy: What they used in turns that were measured.
        sent: How many messages these were.
    """

    def __init__(self, link: str, folder: Path, stack: ExitStack) -> None:
        address = address_of(link, folder)
        self._producer = Instrument("_transport_end", role="publisher", link=link, address=address)
        stack.callback(self._producer.end)
        endpoint = self._producer.hear()["endpoint"]
        self._consumer = Instrument("_transport_newest_reader", link=link, address=endpoint)
        stack.callback(self._consumer.end)
        self._consumer.hear()
        self.energy = Metered([self._producer.pid, self._consumer.pid])
        self.sent = 0

    def measured_turn(self, seconds: float) -> dict[str, Any]:
        """Return what the consumer saw in a turn that counts."""
        with self.energy:
            seen = self.turn(seconds)
        self.sent += _count(seconds)
        return seen

    def turn(self, seconds: float) -> dict[str, Any]:
        """Return what the consumer saw."""
        self._consumer.ask("forget")
        self._producer.tell(f"send 1mb {_count(seconds)} {PRODUCER_HZ}")
        seen: dict[str, Any] = self._consumer.ask(f"read {round(RATE_HZ * seconds)}")
        self._producer.hear()
        return seen

    def meet(self) -> None:
        """Return when messages arrive.

        Raises:
            RuntimeError: If they never do.
        """
        for _ in range(_MEETINGS):
            if self.turn(0.1)["ages_ns"]:
                return
        raise RuntimeError("no message arrives")


def measure(rounds: int, seconds: float, links: Sequence[str] = LINKS) -> dict[str, Any]:
    """Return the ages over so many turns of each link, those of ipc and tcp among them."""
    seen: dict[str, list[dict[str, Any]]] = {link: [] for link in links}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pairs = {link: _Pair(link, folder, stack) for link in links}
        for pair in pairs.values():
            pair.meet()
        for _ in range(rounds):
            for link in random.sample(links, len(links)):
                seen[link].append(pairs[link].measured_turn(seconds))
        energy = {f"newest.{link}": pair.energy.plain("message", pair.sent) for link, pair in pairs.items()}
    by_link = {link: _summary(turns) for link, turns in seen.items()}
    return {
        "newest_age_p99_ms": max(by_link[link]["p99_ms"] for link in _INLINE),
        "newest_age": {"producer_hz": PRODUCER_HZ, "consumer_hz": RATE_HZ, "links": by_link},
        "energy": energy,
    }


def _count(seconds: float) -> int:
    """Return how many messages a turn has; there are still some when the consumer has seen enough."""
    return round(PRODUCER_HZ * (seconds + 0.5))


def _summary(turns: list[dict[str, Any]]) -> dict[str, Any]:
    ages_ms = np.concatenate([turn["ages_ns"] for turn in turns]) * 1e-6
    p50, p99 = np.quantile(ages_ms, (0.5, 0.99))
    counts = {name: sum(turn[name] for turn in turns) for name in turns[0] if name != "ages_ns"}
    return {
        "p50_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
        "max_ms": round(float(ages_ms.max()), 3),
        "reads": len(ages_ms),
        **counts,
    }
