# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The books of a host: an account for each meter, and what each node used since it was first seen."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lowlat_nodes.energy.account import Account
from lowlat_nodes.energy.figures import MAX_NODES, Cost, MeterFigures, NodeFigures
from lowlat_nodes.energy.node_use import NodeUse
from lowlat_nodes.energy.share import Use
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.meter import Meter

_KEPT_S = 600.0  # of a node that has gone: it may come back
_ABSENCES = 30  # readings in a row without a figure, after which a meter is tried once a window
_SOLVING, _SPARE_S = 0.0004, 0.005  # part of a core that finding costs may take, and what it may save up


@dataclass(frozen=True, slots=True)
class Window:
    """What happened on a host in a time.

    Attributes:
        seconds: How long it was.
        nodes: What each node did.
        cpus: How many CPUs the host has.
        busy_cpu_ns: How long they were at work, all together; NaN where nobody knows.
        busy_gpu_ns: How long processes used each GPU, all together, by device; without those where nobody
            knows.
    """

    seconds: float
    nodes: Mapping[str, NodeUse]
    cpus: int
    busy_cpu_ns: float = math.nan
    busy_gpu_ns: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Book:
    """What one node used."""

    unit: str
    results: int = 0
    rate_hz: float = 0.0
    cpu_ns: float = 0.0
    gpu_ns: float = math.nan
    gone_s: float = 0.0
    joules: dict[str, float] = field(default_factory=dict)


class Ledger:
    """Shares out what meters count among the nodes of a host.

    A node that has gone keeps its figures for ten minutes, and goes on with them when it comes back. Of more
    than 256 nodes, those that have gone for longest are forgotten first; what they used stays in the
    accounts.

    Args:
        meters: Closed with the ledger.
        half_life_s: How soon the costs of results forget.
        counts: Where to count how often costs could not be found anew (`costs`); None: nowhere.
    """

    def __init__(
        self, meters: Sequence[Meter], half_life_s: float = 120.0, counts: Counters | None = None
    ) -> None:
        self._accounts = [Account(meter, half_life_s, counts) for meter in meters]
        self._books: dict[str, _Book] = {}
        self._spare_s = _SPARE_S

    def read(self, now_ns: int, *, absent: bool = True) -> None:
        """Read the meters.

        Args:
            now_ns: The time, steady clock.
            absent: Whether to try those, too, that have not been there for many readings.
        """
        for account in self._accounts:
            if absent or account.absences < _ABSENCES:
                account.read(now_ns)

    def interrupt(self) -> None:
        """Note that this host stood still: nobody knows what the counters did meanwhile."""
        for account in self._accounts:
            account.interrupt()

    def settle(self, window: Window) -> list[str]:
        """Share out what was counted; return the nodes that were forgotten."""
        for node, use in window.nodes.items():
            self._enter(node, use, window.seconds)
        work = {
            (node, bucket): results
            for node, use in window.nodes.items()
            for bucket, results in use.work.items()
        }
        for account in self._accounts:
            for node, joules in account.settle(_use(account.meter.device, window), work).items():
                if node in self._books:
                    book = self._books[node]
                    book.joules[account.meter.name] = book.joules.get(account.meter.name, 0.0) + joules
        self._solve(window.seconds)
        return self._forget(window)

    def meters(self) -> tuple[MeterFigures, ...]:
        """Return where the energy of each meter went."""
        return tuple(account.figures() for account in self._accounts)

    def nodes(self) -> tuple[NodeFigures, ...]:
        """Return what each node used."""
        costs: dict[str, list[Cost]] = {}
        for account in self._accounts:
            for node, found in account.costs().items():
                costs.setdefault(node, []).extend(found)
        return tuple(self._figures(node, book, costs.get(node, ())) for node, book in self._books.items())

    def close(self) -> None:
        """Close the meters."""
        for account in self._accounts:
            account.close()

    def _enter(self, node: str, use: NodeUse, seconds: float) -> None:
        book = self._books.setdefault(node, _Book(use.unit))
        book.unit = use.unit
        book.results += use.results
        book.rate_hz = use.results / seconds if seconds > 0.0 else 0.0
        book.cpu_ns += use.cpu_ns
        book.gone_s = 0.0
        gpu_ns = math.fsum(use.gpu_ns.values()) if use.gpu_ns else use.own_gpu_ns
        if use.gpu_ns or use.own_gpu_ns:
            book.gpu_ns = gpu_ns if math.isnan(book.gpu_ns) else book.gpu_ns + gpu_ns

    def _solve(self, seconds: float) -> None:
        """Find anew what results cost, by one meter after the other, in a bounded part of the time."""
        self._spare_s = min(_SPARE_S, self._spare_s + _SOLVING * seconds)
        for account in sorted(self._accounts, key=lambda account: -account.unsolved):
            if self._spare_s <= 0.0 or not account.unsolved:
                break
            begin_s = time.thread_time()
            account.solve()
            self._spare_s -= time.thread_time() - begin_s

    def _forget(self, window: Window) -> list[str]:
        gone = [node for node in self._books if node not in window.nodes]
        for node in gone:
            self._books[node].gone_s += window.seconds
            self._books[node].rate_hz = 0.0
        gone.sort(key=lambda node: self._books[node].gone_s, reverse=True)
        excess = max(0, len(self._books) - MAX_NODES)
        forgotten = [
            node for rank, node in enumerate(gone) if rank < excess or self._books[node].gone_s > _KEPT_S
        ]
        for node in forgotten:
            del self._books[node]
            for account in self._accounts:
                account.forget(node)
        return forgotten

    def _figures(self, node: str, book: _Book, costs: Iterable[Cost]) -> NodeFigures:
        here = book.gone_s == 0.0
        return NodeFigures(
            node=node,
            unit=book.unit,
            results=book.results,
            rate_hz=book.rate_hz,
            cpu_s=book.cpu_ns * 1e-9,
            gpu_s=book.gpu_ns * 1e-9,
            watts={
                account.meter.name: account.nodes_w.get(node, 0.0) if here else 0.0
                for account in self._accounts
                if account.meter.name in book.joules and not math.isnan(account.watts)
            },
            joules=dict(book.joules),
            costs=tuple(costs),
        )


def _use(device: str, window: Window) -> Use | None:
    """Return who kept a device busy; None for one whose busy time nobody measures."""
    window_ns = window.seconds * 1e9
    if device == "cpu":
        nodes_ns = {node: use.cpu_ns for node, use in window.nodes.items()}
        return Use(nodes_ns, window.busy_cpu_ns, window_ns * window.cpus)
    if device in window.busy_gpu_ns:
        nodes_ns = {node: use.gpu_ns.get(device, 0.0) for node, use in window.nodes.items()}
        return Use(nodes_ns, window.busy_gpu_ns[device], window_ns)
    return None
