# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

from lowlat_nodes.cli.dash.feed import Feed


def test_a_reader_gets_the_newest_and_never_the_same_twice() -> None:
    feed = Feed()
    for text in (b"one", b"two", b"three"):
        feed.publish(text)
    found = feed.next(0, 0.0)
    assert found == (3, b"three")
    assert feed.next(3, 0.0) is None


def test_a_waiting_reader_is_woken() -> None:
    feed, found = Feed(), []
    reader = threading.Thread(target=lambda: found.append(feed.next(0, 60.0)))
    reader.start()
    feed.publish(b"one")
    reader.join(60.0)
    assert found == [(1, b"one")]


def test_closing_lets_readers_go() -> None:
    feed, found = Feed(), []
    reader = threading.Thread(target=lambda: found.append(feed.next(0, 60.0)))
    reader.start()
    feed.close()
    reader.join(60.0)
    assert found == [None]
    assert not feed.is_open


def test_it_is_watched_while_somebody_reads_and_a_moment_longer() -> None:
    feed = Feed(linger_s=0.0)
    assert not feed.watched
    with feed.reading():
        with feed.reading():
            assert feed.watched
        assert feed.watched
    assert not feed.watched
    patient = Feed(linger_s=60.0)
    assert not patient.watched
    with patient.reading():
        pass
    assert patient.watched
