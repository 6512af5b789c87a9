# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The turn of a node at a device that it shares with nodes in other processes."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from lowlat_nodes.inference.turns.admission import Demand, admit, judge
from lowlat_nodes.inference.turns.costs import Costs
from lowlat_nodes.inference.turns.folder import turn_folder
from lowlat_nodes.inference.turns.order import Order
from lowlat_nodes.inference.turns.page import (
    DECIDER_WORD,
    EARLIEST_WORD,
    NEVER,
    SLOTS,
    Client,
    Field,
    Page,
    State,
    remove_abandoned,
)
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError
from lowlat_nodes.stream.histogram import Histogram

HEADROOM = 1.2
"""What is declared, over the longest job and segment of the warm-up."""

_LOOK_NS = 5_000_000  # between two looks of one who waits at whether the others live
_JOIN_NS = 1_000_000_000  # between two looks at whether the page is still the one that others find
_WITHDRAW_NS = 20_000_000  # for the lock of the page
_DECIDES_NS = 100_000_000  # a decision takes microseconds: whoever still makes one hangs
_MOST_NS = 10**15
_MS = 1e-6


class TurnTimeout(LowlatError):
    """The device was not given back in time.

    Args:
        device: Its name.
        waited_ns: For how long we have waited.
        blocked_by: Who has it, and for how long.
    """

    def __init__(self, device: str, waited_ns: int, blocked_by: str) -> None:
        super().__init__(
            f"turn: expected to get {device} within {waited_ns * _MS:.4g} ms; it is taken by "
            f"{blocked_by or 'jobs with earlier deadlines'}; look there, or raise turn.timeout_ms"
        )
        self.blocked_by = blocked_by


class SharedTurn:
    """A place at a shared device; used by one thread, except for `figures`.

    Until `declare`, jobs come after all that have a deadline, and are measured. A job of a process that dies
    is over at once. One that hangs keeps the device: the others wait, their figures say for whom, and where
    there is a timeout their jobs fail. After `close`, and in a child that this process forked, jobs run
    without waiting for anybody.

    Args:
        device: Name of the device.
        name: Of the node.
        period_ns: Shortest time between two jobs, 0 for none.
        deadline_ns: From a request to its deadline, 0 for none.
        timeout_ns: Longest wait, 0 for any.
        folder: Where the nodes meet; None for `turn_folder()`.
        now_ns: The steady clock, which all processes of a host share.

    Raises:
        ConfigurationError: If there is no such folder, or no room in it.
    """

    def __init__(
        self,
        device: str,
        name: str,
        *,
        period_ns: int = 0,
        deadline_ns: int = 0,
        timeout_ns: int = 0,
        folder: Path | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.device = device
        self.name = name
        self._period_ns = period_ns
        self._deadline_ns = deadline_ns
        self._timeout_ns = timeout_ns
        self._folder = turn_folder() if folder is None else folder
        self._now_ns = now_ns
        self._guard = threading.Lock()  # of the page and what figures are made of
        self._costs = Costs()
        self._waited = Histogram()
        self._jobs = self._late = self._overruns = self._yields = 0
        self._declared_job_ns = self._declared_segment_ns = NEVER
        self._scope = _Scope(self)
        self._in_job = self._holding = False
        self._due_ns = NEVER  # the deadline of the job
        self._got_ns = self._resumed_ns = 0  # when we got the device, when the segment began
        self._worked_ns = self._longest_ns = 0  # before that, and the longest segment of the job
        self._waiting_ns = 0  # since when
        self._bucket = ""
        self._page: Page | None = None
        self._join()
        _open.add(self)

    def job(self, bucket: str = "") -> AbstractContextManager[None]:
        """Wait until the device is ours, and give it back at the end of the `with` block.

        Raises:
            TurnTimeout: On entering, if the wait takes too long.
            RuntimeError: If this thread is in a job already.
        """
        if self._in_job:
            raise RuntimeError("expected one job at a time, got a job within a job")
        self._bucket = bucket
        return self._scope

    def between(self) -> None:
        """Give way to jobs with an earlier deadline; does nothing outside of a job.

        Raises:
            TurnTimeout: If it takes too long until the device is ours again; the job is over then.
        """
        if not self._holding:
            return
        now_ns = self._now_ns()
        took_ns = now_ns - self._resumed_ns
        if took_ns > self._longest_ns:
            self._longest_ns = took_ns
        if self._words[EARLIEST_WORD] >= self._due_ns:
            self._resumed_ns = now_ns
            return
        self._worked_ns += now_ns - self._got_ns
        self._holding = False
        self._yields += 1
        self._get(now_ns, self._order.give_way)

    def declare(self) -> None:
        """End the warm-up: from now on jobs have their deadline, and others are judged with what they cost.

        What is declared is the longest job and segment so far, and a fifth of it.

        Raises:
            ConfigurationError: If not all nodes at the device could meet their deadlines then; this one has
                left the device.
            RuntimeError: If there was no job yet.
        """
        page = self._page
        if page is None:
            return
        if not self._costs.job_ns:
            raise RuntimeError("expected jobs before declare(), which tells what they cost; there was none")
        self._declared_job_ns = round(self._costs.job_ns * HEADROOM)
        self._declared_segment_ns = round(self._costs.segment_ns * HEADROOM)
        own = self._demand(self._declared_job_ns, self._declared_segment_ns)
        try:
            entered = False
            while not entered:
                others = _promises(page)
                # Without the lock, since it may take some ms, and others must have their turns.
                admit(self.device, [*others, own], len(others))
                page.lock()
                try:
                    entered = _promises(page) == others
                    if entered:
                        self._publish(page)
                finally:
                    page.unlock()
        except BaseException:
            self.close()
            raise

    def figures(self) -> Mapping[str, str | int | float]:
        """Return what diagnostics say.

        ===================== =====================================================================
        turn.device           its name
        turn.shared_with      the other nodes there
        turn.blocking_ms      longest time that a job with a later deadline can hold up ours
        turn.waited_p99_ms    how long jobs waited from their request until they had the device
        turn.waited_max_ms
        turn.segment_max_ms   our longest segment of late
        turn.job_max_ms       our longest job of late, without its waits
        turn.jobs             how many there were
        turn.late             of these, done after their deadline
        turn.yields           how often one gave way to another
        turn.overruns         jobs that took longer than declared, or had a longer segment
        turn.load             share of the device that all jobs with deadlines ask for
        turn.feasible         whether all deadlines can be met, as things cost now
        turn.blocked_by       who has the device that we wait for, and for how long; empty without a wait
        ===================== =====================================================================
        """
        with self._guard:
            page = self._page
            if page is None:
                return {}
            clients = page.clients()
            waited_ns = self._waited.quantile(0.99)
            longest_ns = self._waited.maximum
            blocked_by = self._blocked_by(page) if self._waiting_ns else ""
        others = [client for client in clients if client.slot != page.slot]
        verdict = judge([*map(_found, others), self._demand(*self._now_costs())])
        return {
            "turn.device": self.device,
            "turn.shared_with": ", ".join(client.name for client in others),
            "turn.blocking_ms": verdict.blocking_ns[-1] * _MS,
            "turn.waited_p99_ms": waited_ns * _MS,
            "turn.waited_max_ms": longest_ns * _MS,
            "turn.segment_max_ms": self._costs.segment_ns * _MS,
            "turn.job_max_ms": self._costs.job_ns * _MS,
            "turn.jobs": self._jobs,
            "turn.late": self._late,
            "turn.yields": self._yields,
            "turn.overruns": self._overruns,
            "turn.load": verdict.load,
            "turn.feasible": "yes" if verdict.feasible else "no",
            "turn.blocked_by": blocked_by,
        }

    def close(self) -> None:
        """Leave the device; what runs on is not waited for."""
        with self._guard:
            page, self._page = self._page, None
            self._holding = False
            _open.discard(self)
            if page is not None:
                page.close()

    def disown(self) -> None:
        """Let go of the page: it is that of the process that forked this one."""
        self._guard = threading.Lock()  # a thread that is not here may hold the former
        page, self._page = self._page, None
        self._holding = False
        if page is not None:
            page.disown()

    def begin(self) -> None:
        """Begin a job: see `job`."""
        now_ns = self._now_ns()
        if now_ns - self._joined_ns > _JOIN_NS:
            self._join_again(now_ns)
        page = self._page
        if page is None:
            return
        timed = self._deadline_ns and self._declared_job_ns < NEVER
        self._due_ns = now_ns + self._deadline_ns if timed else NEVER
        self._worked_ns = self._longest_ns = 0
        self._get(now_ns, self._order.ask)
        self._in_job = True
        with self._guard:
            self._waited.record(self._resumed_ns - now_ns)

    def end(self, *, failed: bool) -> None:
        """End a job.

        Args:
            failed: Whether it was not worked to its end, so that nobody knows what it costs.
        """
        self._in_job = False
        page = self._page
        if page is None or not self._holding:
            return
        now_ns = self._now_ns()
        self._holding = False
        page.lock()
        try:
            self._order.give_back(now_ns)
        finally:
            page.unlock()
        if failed:
            return
        job_ns = self._worked_ns + now_ns - self._got_ns
        segment_ns = max(self._longest_ns, now_ns - self._resumed_ns)
        self._jobs += 1
        self._late += now_ns > self._due_ns
        self._overruns += job_ns > self._declared_job_ns or segment_ns > self._declared_segment_ns
        self._costs.add(self._bucket, job_ns, segment_ns)
        self._publish(page)

    def _get(self, since_ns: int, decide: Callable[[int, int], bool]) -> None:
        """Wait until the device is ours."""
        page, order = self._page, self._order
        assert page is not None
        give_up_ns = since_ns + self._timeout_ns if self._timeout_ns else NEVER
        self._waiting_ns = since_ns
        try:
            self._lock(page, since_ns, give_up_ns)
            ours = decide(self._due_ns, since_ns)
            page.unlock()
            while not ours:
                self._sleep(page, since_ns, give_up_ns)
                self._lock(page, since_ns, give_up_ns)
                ours = order.come(self._now_ns())
                page.unlock()
        except BaseException:
            self._withdraw(page)
            raise
        finally:
            self._waiting_ns = 0
        self._holding = True
        self._got_ns = self._resumed_ns = self._now_ns()

    def _lock(self, page: Page, since_ns: int, give_up_ns: int) -> None:
        if not page.lock(give_up_ns):
            raise TurnTimeout(self.device, self._now_ns() - since_ns, self._blocked_by(page))

    def _sleep(self, page: Page, since_ns: int, give_up_ns: int) -> None:
        """Return once there is something to decide."""
        words, slot, bell = self._words, page.slot, page.bells[page.slot]
        while True:
            rung = bell.value  # before the state: whoever calls writes them in the opposite order
            if words[Field.STATE + slot] != State.WAITING or words[Field.PASSED + slot]:
                return
            bell.wait(rung, _LOOK_NS)
            now_ns = self._now_ns()
            if words[Field.STATE + slot] == State.WAITING:
                if self._order.undecided(now_ns):
                    return
                if now_ns > give_up_ns:
                    raise TurnTimeout(self.device, now_ns - since_ns, self._blocked_by(page))

    def _withdraw(self, page: Page) -> None:
        """Ask for the device no longer."""
        now_ns = self._now_ns()
        if page.lock(now_ns + _WITHDRAW_NS):
            self._order.give_back(now_ns)
            page.unlock()
        else:
            self._words[Field.STATE + page.slot] = State.IDLE
            page.leave_device()

    def _join(self) -> None:
        remove_abandoned(self._folder)
        page = Page(self._folder, self.device, self.name)
        self._page, self._words = page, page.words
        self._order = Order(page)
        self._joined_ns = self._now_ns()
        self._publish(page)

    def _join_again(self, now_ns: int) -> None:
        """Follow the others to a new page, where somebody has removed the one we are in."""
        self._joined_ns = now_ns
        former = self._page
        if former is None or not former.moved():
            return
        with self._guard, contextlib.suppress(ConfigurationError):  # then we try again in a second
            self._join()
            former.disown()

    def _publish(self, page: Page) -> None:
        words, slot, declared = page.words, page.slot, self._declared_job_ns < NEVER
        words[Field.PERIOD + slot] = self._period_ns
        words[Field.RELATIVE_DEADLINE + slot] = self._deadline_ns or NEVER
        words[Field.COST + slot] = self._costs.job_ns
        words[Field.SEGMENT + slot] = self._costs.segment_ns
        words[Field.DECLARED_COST + slot] = self._declared_job_ns if declared else 0
        words[Field.DECLARED_SEGMENT + slot] = self._declared_segment_ns if declared else 0

    def _demand(self, cost_ns: int, segment_ns: int) -> Demand:
        return Demand(self.name, cost_ns, segment_ns, self._period_ns, self._deadline_ns)

    def _now_costs(self) -> tuple[int, int]:
        """Return what we declared, or more where it costs more by now."""
        job_ns, segment_ns = self._costs.job_ns, self._costs.segment_ns
        if self._declared_job_ns == NEVER:
            return job_ns, segment_ns
        return max(job_ns, self._declared_job_ns), max(segment_ns, self._declared_segment_ns)

    def _blocked_by(self, page: Page) -> str:
        slot, now_ns = self._order.holder(), self._now_ns()
        decider = page.words[DECIDER_WORD] - 1
        if decider in range(SLOTS) and now_ns - self._waiting_ns > _DECIDES_NS:
            slot = decider
        if slot < 0 or slot == page.slot:
            return ""
        client = page.client(slot)
        return f"{client.name} (process {client.pid}) for {(now_ns - client.since_ns) * _MS:.4g} ms"


class _Scope:
    """The `with` block of a job."""

    def __init__(self, turn: SharedTurn) -> None:
        self._turn = turn

    def __enter__(self) -> None:
        self._turn.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turn.end(failed=kind is not None)


def _promises(page: Page) -> list[Demand]:
    """Return what the others said that they ask of the device."""
    return [
        _demand(client, client.declared_cost_ns, client.declared_segment_ns)
        for client in page.clients()
        if client.slot != page.slot and client.declared_cost_ns
    ]


def _found(client: Client) -> Demand:
    """Return what a client asks of the device: what it said, or more where it costs more by now."""
    return _demand(
        client,
        max(client.cost_ns, client.declared_cost_ns),
        max(client.segment_ns, client.declared_segment_ns),
    )


def _demand(client: Client, job_ns: int, segment_ns: int) -> Demand:
    """Return a demand within bounds, of figures that anybody may have written."""
    job_ns, segment_ns = min(job_ns, _MOST_NS), min(segment_ns, _MOST_NS)
    if not client.declared_cost_ns or not client.period_ns or client.deadline_ns == NEVER:
        return Demand(client.name, job_ns, segment_ns)
    period_ns, deadline_ns = min(client.period_ns, _MOST_NS), min(client.deadline_ns, _MOST_NS)
    return Demand(client.name, job_ns, segment_ns, period_ns, deadline_ns)


_open: set[SharedTurn] = set()
"""Until they are closed; nobody else may hold on to them, and the device must be left all the same."""


def _disown_all() -> None:
    for turn in list(_open):
        turn.disown()


def _close_all() -> None:
    for turn in list(_open):
        turn.close()


os.register_at_fork(after_in_child=_disown_all)
atexit.register(_close_all)
