# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a publisher makes of the subscriptions that it hears of."""

from __future__ import annotations

from lowlat_nodes.transport.zmq.subscriptions import MOST_STRANGE, Demand, Subscriptions, alias

INLINE, SHARED, BOTH = Demand(True, False), Demand(False, True), Demand(True, True)


def subscriptions() -> Subscriptions:
    return Subscriptions([b"cam", b"camera"], "t0")


def test_nothing_is_wanted_until_somebody_asks() -> None:
    table = subscriptions()
    assert not table.demand(b"cam")
    assert not table.heartbeats()


def test_a_subscription_is_to_all_topics_that_begin_like_it() -> None:
    table = subscriptions()
    assert table.take(b"\x01cam") == {b"cam": INLINE, b"camera": INLINE}
    assert table.take(b"\x01camera") == {b"camera": INLINE}
    assert table.take(b"\x00cam") == {}
    assert not table.demand(b"cam")
    assert table.demand(b"camera") == INLINE


def test_an_alias_asks_for_shared_memory_and_only_that_of_this_host() -> None:
    table = subscriptions()
    assert table.take(b"\x01" + alias("t0", b"cam")) == {b"cam": SHARED}
    assert table.take(b"\x01" + alias("t1", b"camera")) == {}
    assert (table.demand(b"cam"), table.demand(b"camera")) == (SHARED, Demand(False, False))
    table.take(b"\x01")  # everything
    assert (table.demand(b"cam"), table.demand(b"camera")) == (BOTH, INLINE)
    assert table.heartbeats()


def test_heartbeats_are_asked_for_like_any_topic() -> None:
    table = subscriptions()
    table.take(b"\x01@heartbeat")
    assert table.heartbeats()
    table.take(b"\x00@heartbeat")
    assert not table.heartbeats()


def test_what_is_no_subscription_changes_nothing() -> None:
    table = subscriptions()
    for event in (b"", b"\x02cam", b"cam"):
        assert table.take(event) == {}
    assert not table.demand(b"cam")


def test_who_subscribes_to_too_much_that_is_not_there_is_named() -> None:
    table = subscriptions()
    table.take(b"\x01cam", 7)
    for number in range(MOST_STRANGE // 1024):
        table.take(b"\x01few%04d" % number, 7)
        table.take(b"\x01" + b"%04d" % number * 100, 8)
        table.take(b"\x01" + b"%04d" % number * 100, 8)
        table.take(b"\x00" + b"%04d" % number * 100)
        table.take(b"\x01" + b"%04d" % number * 200, 8)
        assert table.crowd() is None
    for number in range(MOST_STRANGE // 1024):
        table.take(b"\x01one more%04d" % number * 30, 7)
        if (crowd := table.crowd()) is not None:
            assert crowd == 8
            break
    else:
        raise AssertionError
    assert table.crowd() is None
    assert table.demand(b"cam") == INLINE
