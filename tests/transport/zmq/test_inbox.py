# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests that wait: bounds per client, in clients and in bytes, and turns."""

from __future__ import annotations

import threading

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.transport.zmq.inbox import Arrival, Inbox


def make(**limits: int) -> tuple[Inbox, Counters]:
    counts = Counters()
    return Inbox(**{"per_client": 2, "clients": 3, "max_bytes": 1000, **limits}, counts=counts), counts


def arrival(route: str, number: int, size: int = 1) -> Arrival:
    return Arrival(route.encode(), [zmq.Frame(bytes(size))], number)


def numbers(inbox: Inbox) -> list[tuple[str, int]]:
    taken = []
    while (one := inbox.take(0.0)) is not None:
        taken.append((one.route.decode(), one.received_ns))
    return taken


def test_clients_take_turns() -> None:
    inbox, counts = make()
    for route, number in [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("b", 2)]:
        inbox.put(arrival(route, number))
    assert numbers(inbox) == [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2)]
    assert not counts.snapshot()


def test_the_newest_requests_of_a_client_stay() -> None:
    inbox, counts = make()
    for number in range(5):
        inbox.put(arrival("a", number))
    assert numbers(inbox) == [("a", 3), ("a", 4)]
    assert counts.snapshot() == {"superseded": 3}


def test_a_client_too_many_waits_outside() -> None:
    inbox, counts = make()
    for route in "abcd":
        inbox.put(arrival(route, 0))
    assert numbers(inbox) == [("a", 0), ("b", 0), ("c", 0)]
    assert counts.snapshot() == {"crowded": 1}
    inbox.put(arrival("d", 1))
    assert numbers(inbox) == [("d", 1)]


def test_bytes_are_bounded_and_given_back() -> None:
    inbox, counts = make()
    for _ in range(10):
        inbox.put(arrival("a", 0, 600))
        inbox.put(arrival("b", 0, 600))
        assert numbers(inbox) == [("a", 0)]
    assert counts.snapshot() == {"crowded": 10}


def test_a_large_request_takes_the_place_of_older_ones_of_its_client() -> None:
    inbox, counts = make()
    inbox.put(arrival("a", 0, 600))
    inbox.put(arrival("a", 1, 700))
    assert numbers(inbox) == [("a", 1)]
    assert counts.snapshot() == {"superseded": 1}
    inbox.put(arrival("a", 2, 300))
    inbox.put(arrival("a", 3, 1001))
    assert numbers(inbox) == []
    assert counts.snapshot() == {"superseded": 2, "crowded": 1}
    inbox.put(arrival("b", 4, 1000))
    assert numbers(inbox) == [("b", 4)]


def test_a_close_wakes_whoever_takes() -> None:
    inbox, _ = make()
    taken: list[Arrival | None] = []
    thread = threading.Thread(target=lambda: taken.append(inbox.take()))
    thread.start()
    inbox.close()
    thread.join(30.0)
    assert taken == [None]
    inbox.put(arrival("a", 0))
    assert inbox.take(0.0) is None
