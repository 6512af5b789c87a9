# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The swap rules, row by row of the table in `control.executor`."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.control.chunk import Chunk
from lowlat_nodes.control.executor import ChunkExecutor, Outcome
from lowlat_nodes.stream.payload import Floats

PERIOD = 20
ROWS = 5


def sample(executor: ChunkExecutor, now_ns: int) -> Floats | None:
    """Return the target of the chunk in force at a tick."""
    running = executor.running
    return None if running is None or now_ns >= running.end_ns else running.sample(now_ns)


def chunk(request: int, start_ns: int, value: float = 0.0) -> Chunk:
    """A chunk whose row i is `value + i`."""
    return Chunk(request, start_ns, PERIOD, value + np.arange(ROWS, dtype=float)[:, None])


@pytest.mark.parametrize(
    ("start_ns", "aligned", "outcome", "target"),
    [
        (1040, False, Outcome.SCHEDULED, None),
        (1000, False, Outcome.SWAPPED, 0.0),
        (960, False, Outcome.TRIMMED, 2.0),
        (950, False, Outcome.TRIMMED, 2.5),
        (960, True, Outcome.ALIGNED, 2.0),
        (940, False, Outcome.LATE, None),
        (940, True, Outcome.ALIGNED, 3.0),
        (920, True, Outcome.ALIGNED, 4.0),
        (919, False, Outcome.EXPIRED, None),
        (919, True, Outcome.EXPIRED, None),
        (900, False, Outcome.EXPIRED, None),
    ],
)
def test_a_chunk_that_arrives_before_the_tick_at_1000(
    start_ns: int, aligned: bool, outcome: Outcome, target: float | None
) -> None:
    executor = ChunkExecutor(max_late_ns=50)
    assert executor.accept(chunk(0, start_ns), 1000, aligned=aligned) is outcome
    executor.advance(1000)
    sampled = sample(executor, 1000)
    assert sampled is None if target is None else sampled == pytest.approx([target])


def test_rule_discard_refuses_what_trim_would_take() -> None:
    assert ChunkExecutor(trim_late=False).accept(chunk(0, 980), 1000) is Outcome.LATE
    assert ChunkExecutor(trim_late=False).accept(chunk(0, 1000), 1000) is Outcome.SWAPPED


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e12])
def test_what_no_limiter_takes_is_refused(bad: float) -> None:
    executor = ChunkExecutor()
    targets = np.zeros((ROWS, 1))
    targets[3] = bad
    assert executor.accept(Chunk(0, 1000, PERIOD, targets), 1000) is Outcome.NOT_FINITE
    assert executor.accept(chunk(0, 1000), 1000) is Outcome.SWAPPED


def test_an_answer_to_an_older_request_than_the_newest_accepted_is_refused() -> None:
    executor = ChunkExecutor()
    assert executor.accept(chunk(7, 1000), 1000).accepted
    assert executor.accept(chunk(6, 1000), 1000) is Outcome.SUPERSEDED
    assert executor.accept(chunk(7, 1000), 1000) is Outcome.SUPERSEDED


def test_the_swap_happens_at_the_tick_that_the_chunk_assumes() -> None:
    executor = ChunkExecutor()
    executor.accept(chunk(0, 1000, 10.0), 1000)
    executor.advance(1000)
    executor.accept(chunk(1, 1040, 50.0), 1020)
    assert executor.advance(1020) is None
    assert sample(executor, 1020) == pytest.approx([11.0])
    swapped = executor.advance(1040)
    assert swapped is not None
    assert swapped.request == 1
    assert sample(executor, 1040) == pytest.approx([50.0])


def test_a_later_answer_displaces_scheduled_ones_of_the_same_or_a_later_tick() -> None:
    executor = ChunkExecutor()
    executor.accept(chunk(0, 1020, 10.0), 1000)
    executor.accept(chunk(1, 1060, 20.0), 1000)
    executor.accept(chunk(2, 1040, 30.0), 1000)
    assert [executor.advance(now) and sample(executor, now) for now in (1020, 1040, 1060)] == [
        pytest.approx([10.0]),
        pytest.approx([30.0]),
        None,
    ]
    assert sample(executor, 1060) == pytest.approx([31.0])


def test_an_expired_chunk_gives_no_target() -> None:
    executor = ChunkExecutor()
    executor.accept(chunk(0, 1000), 1000)
    executor.advance(1000)
    assert sample(executor, 1099) is not None
    assert sample(executor, 1100) is None


def test_waiting_chunks_are_bounded_and_the_first_ones_stay() -> None:
    executor = ChunkExecutor(max_scheduled=2)
    arrivals = [executor.accept(chunk(request, 2000 + 100 * request), 1000) for request in range(4)]
    assert arrivals == [Outcome.SCHEDULED] * 2 + [Outcome.CROWDED] * 2
    assert executor.accept(chunk(4, 2050), 1000) is Outcome.SCHEDULED
    assert executor.advance(1999) is None
    swaps = [executor.advance(now_ns) for now_ns in (2000, 2050, 2100)]
    assert [swap and swap.request for swap in swaps] == [0, 4, None]
    assert executor.accept(chunk(5, 2200), 2100) is Outcome.SCHEDULED


def test_clear_and_refuse_drop_the_plan_and_answers_asked_before() -> None:
    executor = ChunkExecutor()
    executor.accept(chunk(0, 1000), 1000)
    executor.advance(1000)
    executor.clear()
    executor.refuse_until(3)
    assert sample(executor, 1000) is None
    assert executor.accept(chunk(3, 1000), 1000) is Outcome.SUPERSEDED
    assert executor.accept(chunk(4, 1000), 1000) is Outcome.SWAPPED


def test_targets_ahead_are_what_the_ticks_will_get_as_far_as_one_chunk_serves() -> None:
    executor = ChunkExecutor()
    executor.accept(chunk(0, 1000, 10.0), 1000)
    executor.advance(1000)
    executor.accept(chunk(1, 1060, 50.0), 1000)
    ahead, executed = executor.copy(), []
    for now_ns in range(1013, 1141, 10):
        executor.advance(now_ns)
        executed.append(sample(executor, now_ns))
    old = ahead.targets(1013, 13, 10)
    new = ahead.targets(1063, 8, 10)
    np.testing.assert_array_equal(np.concatenate([old, new]), executed)
    assert ahead.targets(1143, 8, 10).size == 0


def test_a_copy_keeps_its_plan() -> None:
    executor = ChunkExecutor()
    executor.accept(chunk(0, 1000), 1000)
    twin = executor.copy()
    executor.clear()
    assert twin.advance(1000) is not None
