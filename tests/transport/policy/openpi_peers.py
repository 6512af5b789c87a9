# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Ends of openpi connections for tests: our server in a thread, and scripted ones that misbehave."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lowlat_nodes.stream.requester import RequestRefused
from lowlat_nodes.transport.policy import openpi
from lowlat_nodes.transport.policy.openpi_client import OpenpiClient
from lowlat_nodes.transport.policy.openpi_server import OpenpiServer

ANY = "ws://127.0.0.1:0"
NOTHING = openpi.encode({})
PATIENCE_S = 30.0


def soon() -> int:
    """Return a deadline that no working answer misses, on however slow a machine."""
    return in_ms(PATIENCE_S * 1e3)


def in_ms(milliseconds: float) -> int:
    return time.monotonic_ns() + round(milliseconds * 1e6)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.005)


class Doubler:
    """Answers with twice the state, in two rows; can be held up."""

    def __init__(self) -> None:
        self.requests: list[Mapping[str, Any]] = []
        self.clients: list[str] = []
        self.threads: set[int] = set()
        self.at_work = self.most_at_work = 0
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)

    def describe(self) -> Mapping[str, Any]:
        return {"robot": "doubler", "pose": np.arange(3.0)}

    def respond(self, request: Mapping[str, Any], client: str = "") -> Mapping[str, Any]:
        self.clients.append(client)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.requests.append(request)
        self.threads.add(threading.get_ident())
        self.begun.release()
        assert self.go.wait(PATIENCE_S)
        self.at_work -= 1
        if "state" not in request:
            raise RequestRefused("state: expected 2 numbers, got nothing")
        if request["state"][0] < 0:
            raise ValueError("a secret of the policy")
        return {"actions": np.stack([2 * request["state"]] * 2)}

    def reset(self) -> None:
        self.requests.clear()


def state(value: float) -> dict[str, Any]:
    return {"state": np.array([value, 1.0])}


@contextlib.contextmanager
def serving(responder: Any, address: str = ANY, **options: Any) -> Iterator[OpenpiServer]:
    """Serve in a thread until the end of the block."""
    server = OpenpiServer(responder, address=address, **options)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@contextlib.contextmanager
def asking(address: str, **options: Any) -> Iterator[OpenpiClient]:
    client = OpenpiClient(address, **options)
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def scripted(converse: Callable[[Any], None], *, metadata: Any = NOTHING) -> Iterator[str]:
    """Run a server that says what it is, then does what it likes with each connection; return its address."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import serve

    def handle(connection: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            if metadata is not None:
                connection.send(metadata)
            converse(connection)

    server = serve(handle, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=0.2)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join(PATIENCE_S)
