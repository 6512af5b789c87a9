# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A quiet connection is made anew in time, and not again and again where that does not help."""

from __future__ import annotations

import itertools

from lowlat_nodes.stream.doubt import Doubt

MS = 1_000_000
PATIENCE = 750


def asked(
    heard_ms: list[int], until_ms: int, *, patience_ms: int = PATIENCE, reconnect_ms: int = 50
) -> list[int]:
    """Return when a new connection is asked for, where each takes `reconnect_ms`."""
    doubt, stands_ms, found = Doubt(), 1, []
    for now_ms in range(1, until_ms, 10):
        if stands_ms <= now_ms and doubt.due(
            now_ms * MS,
            heard_ns=max((at for at in heard_ms if at <= now_ms), default=0) * MS,
            stands_ns=stands_ms * MS,
            patience_ns=patience_ms * MS,
        ):
            found.append(now_ms)
            stands_ms = now_ms + reconnect_ms
    return found


def test_nothing_is_asked_for_while_heartbeats_come() -> None:
    assert asked(list(range(0, 60_000, 250)), 60_000) == []


def test_a_quiet_connection_is_made_anew_once_patience_is_over_and_then_ever_more_rarely() -> None:
    found = asked([0], 40_000)
    assert PATIENCE < found[0] <= PATIENCE + 20
    pauses = [later - earlier for earlier, later in itertools.pairwise(found)]
    assert pauses == sorted(pauses)
    assert 1500 <= pauses[0] <= 1600
    assert 5000 <= pauses[-1] <= 5100


def test_it_is_impatient_again_once_something_has_come() -> None:
    found = asked([0, 20_000], 30_000)
    again = [at for at in found if at > 20_000]
    assert again[0] <= 20_000 + PATIENCE + 20


def test_a_slow_loop_gets_the_time_that_it_asked_for() -> None:
    assert asked([0], 29_000, patience_ms=30_000) == []


def test_a_peer_without_heartbeats_is_never_doubted() -> None:
    assert asked([0], 60_000, patience_ms=0) == []


def test_a_connection_that_is_being_made_is_waited_for() -> None:
    doubt = Doubt()
    assert not doubt.due(3600_000 * MS, heard_ns=1, stands_ns=0, patience_ns=PATIENCE * MS)
