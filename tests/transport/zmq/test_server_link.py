# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A connection to one server: it stands, or is known not to, and is made anew."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from relay import relaying

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.server_link import ServerLink

LOOPBACK = "tcp://127.0.0.1:0"
PATIENCE_S = 60.0


@contextlib.contextmanager
def serving(endpoint: str = LOOPBACK) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        server.setsockopt(zmq.LINGER, 0)
        server.bind(endpoint)
        yield server


@contextlib.contextmanager
def linked(endpoint: str) -> Iterator[ServerLink]:
    with contextlib.closing(ServerLink(endpoint, None, max_bytes=1000, sending=1)) as server:
        yield server


def address(server: zmq.Socket[bytes]) -> str:
    return server.getsockopt_string(zmq.LAST_ENDPOINT)


def follow_until(server: ServerLink, holds: Callable[[], bool]) -> bool:
    """Follow until it holds, and return whether the connection broke meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    broke = server.follow()
    while not holds():
        assert time.monotonic() < deadline
        server.wait_for_event(100)
        broke |= server.follow()
    return broke


def exchange(link: ServerLink, server: zmq.Socket[bytes], text: bytes) -> None:
    """Send something there, and have it come back."""
    link.socket.send(text)
    deadline = time.monotonic() + PATIENCE_S
    found = b""
    while found != text:  # what was sent before a cut may come first
        assert time.monotonic() < deadline
        if server.poll(1000):
            route, found = server.recv_multipart()
    server.send_multipart([route, text])
    assert link.wait(round(PATIENCE_S * 1000))
    assert link.socket.recv(zmq.NOBLOCK) == text


def test_it_stands_once_the_server_is_there(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/server"
    with linked(endpoint) as link:
        assert not link.follow()
        assert not link.link.stands
        with pytest.raises(zmq.Again):
            link.socket.send(b"to nobody", zmq.NOBLOCK)
        with serving(endpoint) as server:
            assert not follow_until(link, lambda: link.guarded)
            exchange(link, server, b"x")
        assert follow_until(link, lambda: not link.link.stands)
        assert not link.guarded
        assert link.link.trouble
        with serving(endpoint) as server:
            follow_until(link, lambda: link.guarded)
            exchange(link, server, b"y")


def test_a_connection_that_was_cut_in_silence_is_made_anew() -> None:
    descriptors = []
    with serving() as server, relaying(address(server)) as relay, linked(relay.address) as link:
        for number in range(3):
            follow_until(link, lambda: link.guarded)
            exchange(link, server, b"%d" % number)
            descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
            broken = link.link.broken
            relay.freeze()
            assert follow_until(link, lambda: link.link.broken > broken)  # noqa: B023
            with pytest.raises(zmq.Again):
                link.socket.send(b"late", zmq.NOBLOCK)
            relay.cut()  # its own ends of the connections that were given up, before one stands again
            relay.thaw()
    assert max(descriptors) <= descriptors[0] + 8  # those of a connection that has just been closed


def test_what_is_no_endpoint_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected an address"):
        ServerLink("udp://somewhere", None, max_bytes=1000, sending=1)
