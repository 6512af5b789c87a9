# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What each node did in a window: results, CPU time and GPU time, from pages and processes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from lowlat_nodes.energy.tally_reader import Counts, Page
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.process_id import ProcessId

_MOST = Counts(10**9, 10**9, 10**13, 10**13)  # that a node of this world does in a window
_NOTHING = Counts(0, 0, 0, 0)


@dataclass(slots=True)
class NodeUse:
    """What one node did in a window.

    Attributes:
        unit: What it makes.
        results: How many it finished.
        work: By bucket, how many results were made, those half done as half.
        cpu_ns: CPU time of its processes, or what it measured itself where it shares one with other nodes.
        gpu_ns: By device, the time in which a kernel of its processes ran.
        own_gpu_ns: Time on GPUs that it measured itself.
    """

    unit: str
    results: int = 0
    work: dict[str, float] = field(default_factory=dict)
    cpu_ns: float = 0.0
    gpu_ns: dict[str, float] = field(default_factory=dict)
    own_gpu_ns: float = 0.0


@dataclass(slots=True)
class _Bucket:
    started: int = 0
    finished: int = 0


class NodeUses:
    """Makes windows of counters that only rise.

    Of a page that was made before this, only what follows is counted; of a process and of a GPU, what follows
    their first figure.

    Args:
        begin_ns: When this begins, steady clock.

    Attributes:
        counts: Figures of pages that cannot be, by what is wrong with them: they were passed over.
    """

    def __init__(self, begin_ns: int) -> None:
        self.counts = Counters()
        self._begin_ns = begin_ns
        self._pages: dict[Page, dict[str, Counts]] = {}
        self._cpu_ns: dict[ProcessId, int] = {}
        self._gpu_ns: dict[tuple[str, int], int] = {}
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def window(
        self,
        pages: Iterable[Page],
        cpu_ns: Mapping[ProcessId, int],
        gpu_ns: Mapping[tuple[str, int], int],
        living: Collection[ProcessId],
    ) -> dict[str, NodeUse]:
        """Return what each node did since the last call.

        Args:
            pages: All of them, as just read.
            cpu_ns: Time of each process of the pages that could be read, since it was first seen.
            gpu_ns: Time of each process on each GPU, by device and process id.
            living: Processes whose number no other process has got.
        """
        uses: dict[str, NodeUse] = {}
        deltas = {page: self._delta(page) for page in pages}
        owners: dict[ProcessId, list[Page]] = {}
        for page, delta in deltas.items():
            use = uses.setdefault(page.node, NodeUse(page.unit))
            self._count(page.node, delta, use)
            for process in set(page.processes):
                owners.setdefault(process, []).append(page)
            if page.foreign:
                use.cpu_ns += _own(delta).cpu_ns
        on_gpus = self._on_gpus(gpu_ns, {process.pid for process in living})
        for process, owning in owners.items():
            used_ns = max(0, cpu_ns.get(process, 0) - self._cpu_ns.get(process, 0))
            by_device = on_gpus.get(process.pid, {}) if process in living else {}
            _share(used_ns, by_device, {page: _own(deltas[page]) for page in owning}, uses)
        self._pages = {page: dict(page.counts) for page in deltas if not page.ended}
        self._cpu_ns, self._gpu_ns = dict(cpu_ns), dict(gpu_ns)
        return uses

    def forget(self, node: str) -> None:
        """Drop what is kept of a node that has gone."""
        for key in [key for key in self._buckets if key[0] == node]:
            del self._buckets[key]

    def _delta(self, page: Page) -> dict[str, Counts]:
        """Return what a page has counted since the last window."""
        former = self._pages.get(page)
        if former is None and page.made_ns < self._begin_ns:
            return {}
        former = former or {}
        delta = {}
        for bucket, counts in page.counts.items():
            if counts == former.get(bucket):
                continue
            change = Counts(
                *(new - old for new, old in zip(counts, former.get(bucket, _NOTHING), strict=True))
            )
            if min(change) < 0 or any(new > most for new, most in zip(change, _MOST, strict=True)):
                self.counts.add("fell" if min(change) < 0 else "too much at once")
            elif any(change):
                delta[bucket] = change
        return delta

    def _count(self, node: str, delta: Mapping[str, Counts], use: NodeUse) -> None:
        """Add results, and work: a result that spans two windows counts half in each."""
        for bucket, change in delta.items():
            total = self._buckets.setdefault((node, bucket), _Bucket())
            total.started += change.started
            total.finished += change.finished
            # Not everything that begins comes to one result: it may be a batch, or be dropped.
            yields = total.finished / total.started if total.started else 0.0
            begun = change.started * yields if total.started else float(change.finished)
            use.results += change.finished
            use.work[bucket] = use.work.get(bucket, 0.0) + (begun + change.finished) / 2.0
            use.own_gpu_ns += change.gpu_ns

    def _on_gpus(
        self, gpu_ns: Mapping[tuple[str, int], int], living: Collection[int]
    ) -> dict[int, dict[str, int]]:
        """Return the time of each process since the last window, by device."""
        on_gpus: dict[int, dict[str, int]] = {}
        for (device, pid), total_ns in gpu_ns.items():
            if pid in living:
                used_ns = max(0, total_ns - self._gpu_ns.get((device, pid), 0))
                on_gpus.setdefault(pid, {})[device] = used_ns
        return on_gpus


def _share(
    cpu_ns: int, gpu_ns: Mapping[str, int], owning: Mapping[Page, Counts], uses: Mapping[str, NodeUse]
) -> None:
    """Give a process's time to its node, or to those which share it, as they say.

    Args:
        cpu_ns: Its time on the CPU.
        gpu_ns: Its time by GPU.
        owning: The pages that have the process, and what each measured itself.
        uses: Of the nodes; added to.
    """
    alone = len({page.node for page in owning}) == 1
    all_cpu_ns = max(1, cpu_ns, sum(own.cpu_ns for own in owning.values()))
    # A GPU serves several at once: how long each of them waited tells only the proportion.
    all_gpu_ns = max(1, sum(own.gpu_ns for own in owning.values()))
    for page, own in list(owning.items())[: 1 if alone else None]:
        use = uses[page.node]
        use.cpu_ns += cpu_ns if alone else cpu_ns * own.cpu_ns / all_cpu_ns
        for device, ns in gpu_ns.items():
            part_ns = float(ns) if alone else ns * own.gpu_ns / all_gpu_ns
            use.gpu_ns[device] = use.gpu_ns.get(device, 0.0) + part_ns


def _own(delta: Mapping[str, Counts]) -> Counts:
    """Return the sum over buckets."""
    return Counts(*(sum(column) for column in zip(*delta.values(), strict=True))) if delta else _NOTHING
