# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lowlat_nodes.energy.node_use import NodeUse, NodeUses
from lowlat_nodes.energy.tally_reader import Counts, Page
from lowlat_nodes.stream.process_id import ProcessId

ONE, TWO = ProcessId(1, 10), ProcessId(2, 20)
MS = 1_000_000


def page(node: str, *processes: ProcessId, made_ns: int = 100, foreign: bool = False) -> Page:
    return Page(node, "result", 0, made_ns, processes, foreign)


def window(
    uses: NodeUses,
    pages: list[Page],
    cpu_ms: dict[ProcessId, int] | None = None,
    gpu_ms: dict[tuple[str, int], int] | None = None,
    living: set[ProcessId] | None = None,
) -> dict[str, NodeUse]:
    cpu_ns = {process: ms * MS for process, ms in (cpu_ms or {}).items()}
    gpu_ns = {key: ms * MS for key, ms in (gpu_ms or {}).items()}
    return uses.window(pages, cpu_ns, gpu_ns, {ONE, TWO} if living is None else living)


def test_of_a_page_that_is_new_everything_counts_and_of_an_older_one_what_follows() -> None:
    uses = NodeUses(50)
    new, old = page("/new", ONE), page("/old", TWO, made_ns=10)
    new.counts = old.counts = {"": Counts(4, 4, 0, 0)}
    found = window(uses, [new, old])
    assert (found["/new"].results, found["/old"].results) == (4, 0)
    new.counts = old.counts = {"": Counts(6, 6, 0, 0)}
    found = window(uses, [new, old])
    assert (found["/new"].results, found["/old"].results) == (2, 2)
    assert found["/new"].work == {"": 2.0}


def test_a_result_that_spans_two_windows_counts_half_in_each() -> None:
    uses, its = NodeUses(0), page("/node", ONE)
    its.counts = {"": Counts(10, 10, 0, 0)}
    window(uses, [its])
    its.counts = {"": Counts(11, 10, 0, 0)}
    assert 0.45 < window(uses, [its])["/node"].work[""] < 0.5  # of eleven that began ten are done
    its.counts = {"": Counts(11, 11, 0, 0)}
    assert window(uses, [its])["/node"].work[""] == 0.5


def test_a_batch_that_begins_once_comes_to_many_results() -> None:
    uses, its = NodeUses(0), page("/node", ONE)
    its.counts = {"": Counts(2, 200, 0, 0)}
    window(uses, [its])
    its.counts = {"": Counts(3, 300, 0, 0)}
    assert window(uses, [its])["/node"].work == {"": 100.0}


def test_a_node_that_only_says_what_is_done() -> None:
    uses, its = NodeUses(0), page("/node", ONE)
    its.counts = {"": Counts(0, 8, 0, 0)}
    assert window(uses, [its])["/node"].work == {"": 8.0}


def test_cpu_time_of_the_processes_of_a_node() -> None:
    uses, its = NodeUses(0), page("/node", ONE, TWO)
    assert window(uses, [its], {ONE: 5, TWO: 1})["/node"].cpu_ns == 6 * MS
    assert window(uses, [its], {ONE: 7, TWO: 4})["/node"].cpu_ns == 5 * MS
    assert window(uses, [its], {ONE: 9})["/node"].cpu_ns == 2 * MS


def test_nodes_that_share_a_process_get_what_they_measured() -> None:
    uses = NodeUses(0)
    one, two, silent = page("/one", ONE), page("/two", ONE), page("/silent", ONE)
    one.counts = {"": Counts(0, 0, 30 * MS, 1 * MS)}
    two.counts = {"": Counts(0, 0, 10 * MS, 3 * MS)}
    found = window(uses, [one, two, silent], {ONE: 100}, {("gpu0", 1): 40})
    assert [found[node].cpu_ns for node in ("/one", "/two", "/silent")] == [30 * MS, 10 * MS, 0]
    assert [found[node].gpu_ns["gpu0"] for node in ("/one", "/two", "/silent")] == [10 * MS, 30 * MS, 0]


def test_they_never_get_more_than_the_process_used() -> None:
    uses = NodeUses(0)
    one, two = page("/one", ONE), page("/two", ONE)
    one.counts = {"": Counts(0, 0, 300 * MS, 0)}
    two.counts = {"": Counts(0, 0, 100 * MS, 0)}
    found = window(uses, [one, two], {ONE: 100})
    assert [found[node].cpu_ns for node in ("/one", "/two")] == [75 * MS, 25 * MS]


def test_two_pages_of_one_node_in_one_process_are_one_node() -> None:
    uses = NodeUses(0)
    pages = [page("/node", ONE), page("/node", ONE)]
    for its in pages:
        its.counts = {"": Counts(1, 1, 0, 0)}
    found = window(uses, pages, {ONE: 100}, {("gpu0", 1): 40})
    assert found["/node"].cpu_ns == 100 * MS
    assert found["/node"].gpu_ns == {"gpu0": 40 * MS}
    assert found["/node"].results == 2


def test_a_container_is_believed_what_it_measured() -> None:
    uses, its = NodeUses(0), page("/node", foreign=True)
    its.counts = {"": Counts(0, 0, 30 * MS, 0)}
    assert window(uses, [its])["/node"].cpu_ns == 30 * MS


def test_gpu_time_by_process_id_of_processes_that_live() -> None:
    uses, its = NodeUses(0), page("/node", ONE)
    assert window(uses, [its], {ONE: 0}, {("gpu0", 1): 10, ("gpu1", 1): 4, ("gpu0", 9): 99})[
        "/node"
    ].gpu_ns == {
        "gpu0": 10 * MS,
        "gpu1": 4 * MS,
    }
    # Its number is another process's now, which nobody has told us of.
    assert window(uses, [its], {ONE: 0}, {("gpu0", 1): 70}, living=set())["/node"].gpu_ns == {}
    later = page("/later", ProcessId(1, 99))
    found = window(uses, [later], {ProcessId(1, 99): 0}, {("gpu0", 1): 75}, living={ProcessId(1, 99)})
    assert found["/later"].gpu_ns == {"gpu0": 5 * MS}


def test_counts_that_cannot_be_are_passed_over() -> None:
    uses, its = NodeUses(0), page("/node", ONE)
    its.counts = {"": Counts(10, 10, 0, 0)}
    window(uses, [its])
    its.counts = {"": Counts(10, 9, 0, 0)}
    assert window(uses, [its])["/node"].results == 0
    its.counts = {"": Counts(10, 1 << 60, 0, 0)}
    assert window(uses, [its])["/node"].results == 0
    assert uses.counts.snapshot() == {"fell": 1, "too much at once": 1}
    its.counts = {"": Counts(11, (1 << 60) + 1, 0, 0)}
    assert window(uses, [its])["/node"].results == 1


def test_an_ended_page_that_came_once_is_kept_no_longer() -> None:
    uses, its = NodeUses(0), page("/node", ONE)
    its.counts, its.ended = {"": Counts(1, 1, 0, 0)}, True
    assert window(uses, [its])["/node"].results == 1
    assert window(uses, []) == {}
    uses.forget("/node")
    again = page("/node", ONE)
    again.counts = {"": Counts(0, 2, 0, 0)}
    assert window(uses, [again])["/node"].work == {"": 2.0}  # what a former life began is forgotten
