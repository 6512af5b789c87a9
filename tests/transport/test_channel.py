# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Channels between processes: borders, bounds, descriptors, and the end of the other side."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowlat_nodes.transport.channel import MAX_MESSAGE, Channel, ChannelClosedError

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = Channel.pair()
    yield pair
    for end in pair:
        end.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_messages_keep_their_borders_and_their_order(ends: Ends) -> None:
    one, other = ends
    sent = [b"a", b"bc" * 1000, b"\0", bytes(MAX_MESSAGE)]
    for data in sent:
        assert one.send(data)
        assert other.send(data[::-1])
    assert [other.receive() for _ in sent] == sent
    assert [one.receive() for _ in sent] == [data[::-1] for data in sent]


def test_receiving_does_not_wait(ends: Ends) -> None:
    assert ends[0].receive() is None


@pytest.mark.parametrize("size", [0, MAX_MESSAGE + 1])
def test_a_message_without_a_size_that_fits_is_refused(ends: Ends, size: int) -> None:
    with pytest.raises(ValueError, match=f"got {size}"):
        ends[0].send(bytes(size))
    assert ends[1].receive() is None


def test_a_full_channel_drops_what_is_new_and_counts_it(ends: Ends) -> None:
    one, other = ends
    sent = 0
    while one.send(sent.to_bytes(4, "little") * 256):
        sent += 1
        assert sent < 1_000_000
    assert not one.send(b"more")
    assert one.dropped == 2
    for number in range(sent):
        data = other.receive()
        assert data is not None
        assert int.from_bytes(data[:4], "little") == number
    assert other.receive() is None
    assert one.send(b"again")
    assert other.receive() == b"again"


def test_what_was_sent_before_the_end_is_still_received(ends: Ends) -> None:
    one, other = ends
    one.send(b"last words")
    one.close()
    assert other.receive() == b"last words"
    with pytest.raises(ChannelClosedError):
        other.receive()
    with pytest.raises(ChannelClosedError):
        other.send(b"anybody?")


def test_a_wait_ends_with_a_message_with_the_end_and_with_the_timeout(ends: Ends) -> None:
    one, other = ends
    assert not other.wait(0.001)
    for act in (lambda: one.send(b"x"), one.close):
        timer = threading.Timer(0.02, act)
        timer.start()
        assert other.wait(None)
        timer.join()
        with contextlib.suppress(ChannelClosedError):
            other.receive()


def test_a_descriptor_comes_along(ends: Ends) -> None:
    one, other = ends
    reading, writing = os.pipe()
    one.send(b"take this", descriptor=writing)
    os.close(writing)
    data, descriptor = other.receive_with_descriptor()
    assert data == b"take this"
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"through")
    os.close(descriptor)
    assert os.read(reading, 100) == b"through"
    assert os.read(reading, 100) == b""
    os.close(reading)


def test_a_descriptor_that_nobody_asked_for_is_closed(ends: Ends) -> None:
    one, other = ends
    before = open_descriptors()
    for _ in range(3):
        assert one.send(b"x", descriptor=one.fileno())
        assert other.receive() == b"x"
    assert open_descriptors() == before


def test_a_channel_travels_through_a_channel(ends: Ends) -> None:
    one, other = ends
    near, far = Channel.pair()
    one.send(b"a channel", descriptor=far.fileno())
    far.close()
    _, descriptor = other.receive_with_descriptor()
    assert descriptor is not None
    arrived = Channel.from_fd(descriptor)
    arrived.send(b"hello")
    assert near.receive() == b"hello"
    arrived.close()
    with pytest.raises(ChannelClosedError):
        near.receive()
    near.close()


def test_no_second_descriptor_comes_along(ends: Ends) -> None:
    one, other = ends
    with Path("/dev/null").open("rb") as file, socket.socket(fileno=os.dup(one.fileno())) as sender:
        before = open_descriptors()
        socket.send_fds(sender, [b"two"], [file.fileno(), file.fileno()])
        assert other.receive() == b"two"
        assert open_descriptors() == before
