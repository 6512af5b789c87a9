# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Servers for tests: ours in a thread or a process of its own, and scripted ones that misbehave."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import zmq

from lowlat_nodes.stream.requester import RequestLate, RequestRefused, ServerGone
from lowlat_nodes.transport.policy import gr00t, lowlat
from lowlat_nodes.transport.policy.gr00t_client import Gr00tClient
from lowlat_nodes.transport.policy.gr00t_server import Gr00tServer
from lowlat_nodes.transport.policy.lowlat_client import LowlatClient
from lowlat_nodes.transport.policy.lowlat_server import LowlatServer

Client = LowlatClient | Gr00tClient
Server = LowlatServer | Gr00tServer
CLIENTS: Mapping[str, type[Client]] = {"lowlat": LowlatClient, "gr00t": Gr00tClient}
SERVERS: Mapping[str, type[Server]] = {"lowlat": LowlatServer, "gr00t": Gr00tServer}

MODALITY = {
    "video": {"delta_indices": [0], "modality_keys": ["front"]},
    "state": {"delta_indices": [0], "modality_keys": ["arm"]},
    "action": {"delta_indices": [0, 1, 2, 3], "modality_keys": ["arm"]},
    "language": {"delta_indices": [0], "modality_keys": ["annotation.human.task"]},
}
HORIZON = 4
PATIENCE_S = 30.0


def soon() -> int:
    """Return a deadline that no working answer misses, on however slow a machine."""
    return time.monotonic_ns() + round(PATIENCE_S * 1e9)


def in_ms(milliseconds: float) -> int:
    return time.monotonic_ns() + round(milliseconds * 1e6)


def observation(value: float = 0.0) -> dict[str, Any]:
    return {
        "video": {"front": np.full((1, 1, 8, 8, 3), 7, np.uint8)},
        "state": {"arm": np.full((1, 1, 2), value, np.float32)},
        "language": {"annotation.human.task": [["go"]]},
    }


class Doubler:
    """Answers each request with twice its state, on every row; can be held up."""

    def __init__(self) -> None:
        self.requests: list[Mapping[str, Any]] = []
        self.clients: list[str] = []
        self.resets = 0
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)

    def describe(self) -> Mapping[str, Any]:
        return {"modality": MODALITY}

    def respond(self, request: Mapping[str, Any], client: str = "") -> Mapping[str, Any]:
        self.requests.append(request)
        self.clients.append(client)
        self.begun.release()
        assert self.go.wait(PATIENCE_S)
        state = request["state"]["arm"]
        if state.shape[-1] != 2:
            raise RequestRefused(f"expected 2 numbers, got {state.shape[-1]}")
        if state[0, 0, 0] < 0:
            raise ValueError("a secret of the policy")
        return {"action": {"arm": np.repeat(2 * state.astype(np.float32), HORIZON, axis=1)}, "info": {}}

    def reset(self) -> None:
        self.resets += 1


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve in a thread until the end of the block."""
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@contextlib.contextmanager
def asking(protocol: str, address: str, **options: Any) -> Iterator[Client]:
    """Make a client; it may not be connected yet."""
    client = CLIENTS[protocol](address, **options)
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def talking(protocol: str, address: str, **options: Any) -> Iterator[Client]:
    """Make a client that is connected."""
    with asking(protocol, address, **options) as client:
        reconnect(client)
        yield client


def reconnect(client: Client) -> None:
    """Wait until the client has its server."""
    deadline_ns = soon()
    while time.monotonic_ns() < deadline_ns:
        with contextlib.suppress(ServerGone, RequestLate):
            client.describe()
            return
    raise AssertionError("the server did not come")


class Scripted:
    """A ROUTER that answers each message with what a script makes of it: any number of messages.

    It takes descriptions, so that clients get as far as asking, and hands the rest to the script.
    """

    def __init__(self, protocol: str, script: Callable[[list[bytes]], list[list[bytes]]]) -> None:
        self.protocol = protocol
        self._script = script
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self.address = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(PATIENCE_S)
            self._context.destroy(linger=0)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._socket.poll(20):
                route, *frames = self._socket.recv_multipart()
                description = self._description(frames)
                for answer in self._script(frames) if description is None else [description]:
                    self._socket.send_multipart([route, *answer])

    def _description(self, frames: list[bytes]) -> list[bytes] | None:
        if self.protocol == "gr00t":
            if gr00t.decode(frames[2]).get("endpoint") != "get_modality_config":
                return None
            return [*frames[:2], gr00t.encode({})]
        header = lowlat.decode_header([zmq.Frame(frame) for frame in frames])
        if header.kind != lowlat.DESCRIBE:
            return None
        return [bytes(frame) for frame in lowlat.encode(lowlat.DESCRIPTION, header.number, {})]


def envelope(protocol: str, frames: list[bytes], body: Mapping[str, Any]) -> list[bytes]:
    """Return a good answer to a request, with that body."""
    if protocol == "gr00t":
        return [*frames[:2], gr00t.encode([body["action"], {}])]
    number = lowlat.decode_header([zmq.Frame(frame) for frame in frames]).number
    return [bytes(frame) for frame in lowlat.encode(lowlat.ANSWER, number, body)]


@contextlib.contextmanager
def process(protocol: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server in a process of its own; it is killed at the end of the block, if not before."""
    child = subprocess.Popen([sys.executable, __file__, protocol, address], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip()
        yield child
    finally:
        child.kill()
        child.communicate()


if __name__ == "__main__":
    serves = SERVERS[sys.argv[1]](Doubler(), address=sys.argv[2])
    print(serves.address, flush=True)
    serves.serve()
