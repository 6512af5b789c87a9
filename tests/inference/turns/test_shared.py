# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from turn_peers import states, until, waiting

from lowlat_nodes.inference.turns import admission
from lowlat_nodes.inference.turns.admission import HANDOVER_NS, Demand
from lowlat_nodes.inference.turns.page import State
from lowlat_nodes.inference.turns.shared import HEADROOM, SharedTurn
from lowlat_nodes.stream.errors import ConfigurationError

MS = 1_000_000

Make = Callable[..., SharedTurn]


class Clock:
    """The steady clock of turns, which goes as it is told."""

    def __init__(self) -> None:
        self.now_ns = time.monotonic_ns()

    def __call__(self) -> int:
        return self.now_ns

    def go(self, ms: float) -> None:
        self.now_ns += round(ms * MS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turn(folder: Path, clock: Clock) -> Iterator[Make]:
    """Make clients of one device, in this process."""
    with ExitStack() as stack:

        def make(name: str, **given: Any) -> SharedTurn:
            made = SharedTurn("cpu0", name, folder=folder, now_ns=clock, **given)
            return stack.enter_context(closing(made))

        yield make


def work(turn: SharedTurn, clock: Clock, *segments_ms: float, bucket: str = "") -> None:
    with turn.job(bucket):
        for ms in segments_ms[:-1]:
            clock.go(ms)
            turn.between()
        clock.go(segments_ms[-1])


def declared(turn: SharedTurn, clock: Clock, *segments_ms: float) -> SharedTurn:
    work(turn, clock, 10 * segments_ms[0])  # loads
    for _ in range(2):
        work(turn, clock, *segments_ms)
    turn.declare()
    return turn


def test_jobs_and_segments_are_measured(turn: Make, clock: Clock) -> None:
    one = declared(turn("/one"), clock, 3, 5, 2)
    assert one.figures() == {
        "turn.device": "cpu0",
        "turn.shared_with": "",
        "turn.blocking_ms": 0.0,
        "turn.waited_p99_ms": 0.0,
        "turn.waited_max_ms": 0.0,
        "turn.segment_max_ms": pytest.approx(5.0),
        "turn.job_max_ms": pytest.approx(10.0),
        "turn.jobs": 3,
        "turn.late": 0,
        "turn.yields": 0,
        "turn.overruns": 0,
        "turn.load": 0.0,
        "turn.feasible": "yes",
        "turn.blocked_by": "",
    }


def test_the_bound_is_the_longest_segment_of_later_deadlines(turn: Make, clock: Clock) -> None:
    declared(turn("/best"), clock, 4, 1)
    declared(turn("/late", period_ns=100 * MS, deadline_ns=100 * MS), clock, 2, 2)
    soon = declared(turn("/soon", period_ns=50 * MS, deadline_ns=40 * MS), clock, 1)
    figures = soon.figures()
    assert figures["turn.blocking_ms"] == pytest.approx(4 * HEADROOM + HANDOVER_NS / MS)
    assert figures["turn.shared_with"] == "/best, /late"
    load = (4 * HEADROOM + 0.4) / 100 + (HEADROOM + 0.4) / 50
    assert figures["turn.load"] == pytest.approx(load)


def test_one_that_cannot_meet_its_deadline_is_refused_and_leaves(
    folder: Path, turn: Make, clock: Clock
) -> None:
    declared(turn("/long"), clock, 70)
    policy = turn("/policy", period_ns=20 * MS, deadline_ns=20 * MS)
    with pytest.raises(ConfigurationError, match=r"^turn: /policy cannot share cpu0: .* holds it up"):
        declared(policy, clock, 0.24)
    assert states(folder) == [State.IDLE]
    assert policy.figures() == {}
    work(policy, clock, 1)  # whoever goes on all the same does not share


def test_one_that_lets_another_miss_its_deadline_is_refused(turn: Make, clock: Clock) -> None:
    policy = declared(turn("/policy", period_ns=20 * MS, deadline_ns=20 * MS), clock, 0.24)
    with pytest.raises(ConfigurationError, match=r"/long cannot share cpu0: /policy would miss its deadline"):
        declared(turn("/long"), clock, 70)
    assert policy.figures()["turn.feasible"] == "yes"
    declared(turn("/long"), clock, *[3.0] * 24)


def test_of_two_that_come_at_once_the_second_is_judged_with_the_first(
    turn: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, long = turn("/policy", period_ns=20 * MS, deadline_ns=20 * MS), turn("/long")
    for one, ms in ((policy, 0.24), (long, 70)):
        work(one, clock, ms)
        work(one, clock, ms)
    judged = []

    def admit(device: str, demands: list[Demand], newcomer: int) -> None:
        judged.append([demand.name for demand in demands])
        if len(judged) == 1:
            policy.declare()  # as the other one is still judged
        admission.admit(device, demands, newcomer)

    monkeypatch.setattr("lowlat_nodes.inference.turns.shared.admit", admit)
    with pytest.raises(ConfigurationError, match=r"/long cannot share cpu0: /policy would miss"):
        long.declare()
    assert judged == [["/long"], ["/policy"], ["/policy", "/long"]]


def test_what_takes_longer_than_declared_is_seen(turn: Make, clock: Clock) -> None:
    policy = declared(turn("/policy", period_ns=20 * MS, deadline_ns=20 * MS), clock, 0.24)
    long = declared(turn("/long"), clock, 3, 3)
    work(long, clock, 3, 3.5)
    assert long.figures()["turn.overruns"] == 0
    work(long, clock, 1, 5)
    assert long.figures()["turn.overruns"] == 1
    assert policy.figures()["turn.blocking_ms"] == pytest.approx(5 + HANDOVER_NS / MS)
    work(long, clock, 30, 1)
    assert long.figures()["turn.overruns"] == 2
    assert policy.figures()["turn.feasible"] == "no"


def test_a_hiccup_of_one_keeps_no_other_from_the_device(turn: Make, clock: Clock) -> None:
    """A node that is started again is judged by what the others said; its figures tell what they do."""
    long = declared(turn("/long"), clock, 3, 3)
    work(long, clock, 50, 1)
    policy = declared(turn("/policy", period_ns=20 * MS, deadline_ns=20 * MS), clock, 0.24)
    assert policy.figures()["turn.feasible"] == "no"


def test_a_job_after_its_deadline_is_late(turn: Make, clock: Clock) -> None:
    policy = declared(turn("/policy", period_ns=20 * MS, deadline_ns=20 * MS), clock, 0.24)
    work(policy, clock, 19.9)
    assert policy.figures()["turn.late"] == 0
    work(policy, clock, 20.1)
    assert policy.figures()["turn.late"] == 1


def test_a_wait_is_no_cost_of_the_job(folder: Path, turn: Make, clock: Clock) -> None:
    long = declared(turn("/long"), clock, 3, 3)
    short = declared(turn("/short", period_ns=20 * MS, deadline_ns=20 * MS), clock, 1)

    def other() -> None:
        with short.job():
            clock.go(9)

    with long.job():
        thread = threading.Thread(target=other)
        thread.start()
        waiting(folder, 1)
        clock.go(3)
        long.between()
        clock.go(3)
    thread.join()
    figures = long.figures()
    assert figures["turn.yields"] == 1
    assert figures["turn.job_max_ms"] == pytest.approx(6.0)
    assert short.figures()["turn.waited_max_ms"] == pytest.approx(3.0)


def test_a_job_that_fails_is_not_counted_and_gives_the_device_back(
    folder: Path, turn: Make, clock: Clock
) -> None:
    one = declared(turn("/one"), clock, 5)

    def fail() -> None:
        with one.job():
            clock.go(50)
            raise ValueError("a job")

    with pytest.raises(ValueError, match="a job"):
        fail()
    assert one.figures()["turn.jobs"] == 3
    assert one.figures()["turn.job_max_ms"] == pytest.approx(5.0)
    assert states(folder) == [State.IDLE]
    work(one, clock, 5)


def test_a_wait_that_is_interrupted_is_withdrawn(
    folder: Path, turn: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, waits = turn("/holder"), turn("/waits")

    def interrupted(*_: int) -> None:
        raise KeyboardInterrupt

    with holder.job():
        assert waits._page is not None
        monkeypatch.setattr(waits._page.bells[waits._page.slot], "wait", interrupted)
        with pytest.raises(KeyboardInterrupt), waits.job():
            pytest.fail("it is held by another")
        assert states(folder) == [State.HOLDING, State.IDLE]
    monkeypatch.undo()
    work(waits, clock, 1)


def test_one_that_cannot_follow_to_a_new_page_goes_on_in_the_old_one(
    folder: Path, turn: Make, clock: Clock
) -> None:
    one = turn("/one")
    page = folder / "cpu0.turns"
    page.unlink()
    page.mkdir()
    clock.go(2000)
    work(one, clock, 1)
    page.rmdir()
    other = turn("/other")
    clock.go(2000)
    work(one, clock, 1)
    assert one.figures()["turn.shared_with"] == "/other"
    assert other.figures()["turn.shared_with"] == "/one"


def test_a_job_within_a_job_is_refused(turn: Make) -> None:
    one = turn("/one")
    with one.job(), pytest.raises(RuntimeError, match="one job at a time"):
        one.job()


def test_declaring_before_there_was_a_job_is_refused(turn: Make) -> None:
    with pytest.raises(RuntimeError, match="expected jobs before declare"):
        turn("/one").declare()


def test_between_does_nothing_outside_of_a_job_and_after_the_end(turn: Make, clock: Clock) -> None:
    one = turn("/one")
    one.between()
    work(one, clock, 1)
    one.between()
    one.close()
    one.close()
    one.between()
    one.declare()
    assert one.figures() == {}
    work(one, clock, 1)


def test_a_child_that_was_forked_does_not_share(folder: Path, turn: Make, clock: Clock) -> None:
    one = turn("/one")
    with one.job():
        child = os.fork()
        if child == 0:
            one.between()
            status = 0 if one.figures() == {} else 1
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert states(folder) == [State.HOLDING]
    work(one, clock, 1)


def test_figures_may_be_read_as_jobs_go_on(turn: Make) -> None:
    one, two = turn("/one"), turn("/two")
    stop = threading.Event()

    def go_on(turn: SharedTurn) -> None:
        while not stop.is_set():
            with turn.job():
                turn.between()

    threads = [threading.Thread(target=go_on, args=(each,)) for each in (one, two)]
    for thread in threads:
        thread.start()
    until(lambda: min(int(one.figures()["turn.jobs"]), int(two.figures()["turn.jobs"])) > 50)
    stop.set()
    for thread in threads:
        thread.join()
