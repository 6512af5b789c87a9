# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Each state of a peer is entered in its time, and left again."""

from __future__ import annotations

import math

from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.peer import Peer, PeerState

MS = 1_000_000
PERIOD_NS = 250 * MS


def beat(
    sequence: int = 0, state: str = "running", name: str = "/detector", period: int = PERIOD_NS
) -> Heartbeat:
    return Heartbeat(name, state, sequence, 3 * MS, period)


def only(peer: Peer, now_ms: int) -> PeerState:
    [state] = peer.states(now_ms * MS)
    return state


def test_a_peer_comes_runs_falls_silent_recovers_goes_and_returns() -> None:
    peer = Peer(0)
    seen = [only(peer, 1000)]
    peer.link_up(1000 * MS)
    seen.append(only(peer, 1100))
    peer.hear(beat(10), 1200 * MS)
    seen.append(only(peer, 1950))  # three periods are just over
    seen.append(only(peer, 1951))
    peer.hear(beat(20, "idle"), 3000 * MS)
    seen.append(only(peer, 3100))
    peer.link_down(3200 * MS)
    seen.append(only(peer, 3700))
    peer.link_up(4000 * MS)
    seen.append(only(peer, 4000))
    peer.hear(beat(1), 4100 * MS)
    seen.append(only(peer, 4200))
    assert [(each.state, each.for_ns // MS) for each in seen] == [
        ("never seen", 1000),
        ("connected", 100),
        ("running", 750),
        ("silent", 751),
        ("idle", 100),
        ("gone", 500),
        ("connected", 0),
        ("running", 100),
    ]
    assert [each.lost for each in seen] == [False, False, False, True, False, True, False, False]


def test_the_last_words_of_a_silent_loop_are_kept() -> None:
    peer = Peer(0)
    peer.link_up(0)
    peer.hear(beat(41), 0)
    state = only(peer, 60_000)
    assert (state.name, state.sequence, state.latency_ns, state.said) == ("/detector", 41, 3 * MS, "running")
    assert "hangs: its loop has not gone round for 60.0 s" in state.explain()
    assert "running after 41 messages" in state.explain()


def test_a_slow_loop_that_announces_it_is_not_silent_early() -> None:
    peer = Peer(0)
    peer.link_up(0)
    peer.hear(beat(period=2000 * MS), 0)
    assert only(peer, 6000).state == "running"
    assert only(peer, 6001).state == "silent"


def test_a_loop_that_said_that_it_ends_is_not_waited_for() -> None:
    peer = Peer(0)
    peer.link_up(0)
    peer.hear(beat(9, "stopped", period=0), 0)
    assert only(peer, 3_600_000).state == "stopped"
    assert peer.patience_ns() == 0


def test_what_a_loop_waits_for_is_its_state() -> None:
    peer = Peer(0)
    peer.link_up(0)
    peer.hear(beat(0, "waits for flush: UndeliveredError: no broker"), 0)
    assert only(peer, 100).state == "waits for flush: UndeliveredError: no broker"
    assert not only(peer, 100).lost


def test_the_time_in_a_state_counts_from_its_first_heartbeat() -> None:
    peer = Peer(0)
    peer.link_up(0)
    for at_ms in range(0, 2001, 250):
        peer.hear(beat(at_ms), at_ms * MS)
    assert only(peer, 2100).for_ns == 2100 * MS
    assert only(peer, 2100).rate_hz == 1000.0
    peer.hear(beat(9000, "idle"), 2200 * MS)
    assert only(peer, 2300).for_ns == 100 * MS


def test_the_loops_of_one_process_are_told_apart() -> None:
    peer = Peer(0)
    peer.link_up(0)
    peer.hear(beat(1, name="b"), 0)
    peer.hear(beat(2, name="a"), 0)
    peer.hear(beat(3, name="a"), 1000 * MS)
    assert [(state.name, state.state) for state in peer.states(1001 * MS)] == [
        ("a", "running"),
        ("b", "silent"),
    ]


def test_names_from_outside_are_bounded() -> None:
    peer = Peer(0)
    peer.link_up(0)
    for number in range(1000):
        peer.hear(beat(number, name=f"/loop_{number:03}"), number)
    assert [state.name for state in peer.states(1000)] == [f"/loop_{number}" for number in range(984, 1000)]


def test_a_link_that_was_taken_down_in_doubt_leaves_a_hanging_loop_silent() -> None:
    peer = Peer(0)
    peer.link_up(0)
    peer.hear(beat(5), 0)
    peer.link_down(1000 * MS, doubted=True)
    state = only(peer, 1500)
    assert (state.state, state.for_ns) == ("gone", 1500 * MS)  # since it was heard last
    peer.link_up(1600 * MS)
    assert only(peer, 1700).state == "silent"
    assert only(peer, 1700).for_ns == 1700 * MS
    peer.hear(beat(6), 2000 * MS)
    assert (only(peer, 2100).state, only(peer, 2100).for_ns) == ("running", 100 * MS)


def test_a_heartbeat_that_comes_before_the_link_is_known_to_stand_counts() -> None:
    peer = Peer(0)
    repeated = Heartbeat("/detector", "idle", 7, 0, PERIOD_NS, age_ns=900 * MS)
    peer.hear(repeated, 1000 * MS)
    peer.link_up(1001 * MS)
    assert (only(peer, 1001).state, only(peer, 1001).sequence) == ("silent", 7)
    peer.hear(beat(8, name="/other"), 1100 * MS)
    peer.link_down(1200 * MS)
    peer.hear(Heartbeat("/detector", "idle", 1, 0, PERIOD_NS, age_ns=MS), 1300 * MS)  # of the next process
    peer.link_up(1301 * MS)
    assert [(each.name, each.sequence) for each in peer.states(1301 * MS)] == [("/detector", 1)]


def test_the_patience_with_a_link_is_that_of_its_quickest_loop() -> None:
    peer = Peer(0)
    assert peer.patience_ns() == 0
    peer.hear(beat(period=1000 * MS, name="slow"), 0)
    peer.hear(beat(period=100 * MS, name="quick"), 0)
    peer.hear(beat(period=0, name="done"), 0)
    assert peer.patience_ns() == 300 * MS


def test_a_restart_that_counts_anew_has_no_rate_at_first() -> None:
    peer = Peer(0)
    peer.link_up(0)
    peer.hear(beat(100), 0)
    peer.hear(beat(1), 250 * MS)
    assert math.isnan(only(peer, 300).rate_hz)
