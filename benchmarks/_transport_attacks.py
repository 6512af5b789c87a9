# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Clients that must not get in, against each kind of server: is any of them served, and is each one logged?

python -m lowlat_nodes.benchmarks._transport_attacks
"""

from __future__ import annotations

import contextlib
import json
import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import zmq

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Text
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, new_pair, secure_client
from lowlat_nodes.transport.zmq.packets import PacketReceiver
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.refusals import LOGGER
from lowlat_nodes.transport.zmq.router import Router

LOOPBACK = "tcp://127.0.0.1:0"

_SERVED = b"\x05READY"  # what a server says to whom it lets in, in ZMTP
_WAIT_S = 0.5
_PATIENCE_S = 30.0


class Recorder:
    """A proxy between clients and a server that keeps what clients say, and can say it again.

    Args:
        server: Address of the server, TCP.

    Attributes:
        endpoint: Where clients connect.
        said: What each client has said, in the pieces in which it came.
    """

    def __init__(self, server: str) -> None:
        self.said: list[list[bytes]] = []
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://{}:{}".format(*self._listener.getsockname())
        self._upstream: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def repeat(self, piece: bytes) -> None:
        """Say something to the server over the newest connection, as if its client had."""
        self._upstream[-1].sendall(piece)

    def close(self) -> None:
        """Hang up on everybody."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in self._upstream:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                upstream = dial(self._server)
                self._upstream.append(upstream)
                self.said.append([])
                thread = threading.Thread(target=_pass_on, args=(client, upstream, self.said[-1]))
                self._threads.append(thread)
                thread.start()


def _pass_on(client: socket.socket, server: socket.socket, said: list[bytes]) -> None:
    with client, server, contextlib.suppress(OSError):
        while True:
            for ready in select.select([client, server], [], [])[0]:
                piece = ready.recv(65536)
                if not piece:
                    return
                if ready is client:
                    said.append(piece)
                (server if ready is client else client).sendall(piece)


@contextlib.contextmanager
def recording(server: str) -> Iterator[Recorder]:
    """Record what clients say to a server."""
    recorder = Recorder(server)
    try:
        yield recorder
    finally:
        recorder.close()


def dial(endpoint: str) -> socket.socket:
    """Return a plain connection to a ZeroMQ endpoint."""
    if endpoint.startswith("ipc://"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(endpoint.removeprefix("ipc://"))
        return connection
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=_PATIENCE_S)


def listen_to(connection: socket.socket, wait_s: float = _WAIT_S) -> tuple[bytes, bool]:
    """Return what comes within a time, and whether the other end hung up."""
    said, ends_s = b"", time.monotonic() + wait_s
    while (left_s := ends_s - time.monotonic()) > 0:
        if select.select([connection], [], [], left_s)[0]:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                return said, True
            if not piece:
                return said, True
            said += piece
    return said, False


def say_again(endpoint: str, said: list[bytes]) -> bytes:
    """Repeat what a client said, each piece after the server's answer; return what the server says."""
    heard = b""
    with dial(endpoint) as connection:
        for piece in said:
            with contextlib.suppress(OSError):
                connection.sendall(piece)
            answer, ended = listen_to(connection, 0.2)
            heard += answer
            if ended:
                break
    return heard


@dataclass
class _Lines(logging.Handler):
    """Counts the lines that our sockets log."""

    count: int = 0
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        self.count += 1
        self.texts.append(record.getMessage())


@contextlib.contextmanager
def logged_lines() -> Iterator[list[str]]:
    """Collect the lines that our sockets log, which nobody else gets meanwhile."""
    lines, propagated = _Lines(), LOGGER.propagate
    LOGGER.addHandler(lines)
    LOGGER.propagate = False
    try:
        yield lines.texts
    finally:
        LOGGER.propagate = propagated
        LOGGER.removeHandler(lines)


class _Target:
    """A server with keys: where it is, what kind of socket talks to it, and whether somebody is served."""

    kind: int

    def __init__(self) -> None:
        self.pair, self.friend = new_pair(), new_pair()
        self.keys = ServerKeys(self.pair, frozenset({self.friend.public}))
        self.endpoint = ""

    def serve(self) -> int:
        """Do what the server does, once; return how many messages of clients it has taken."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the address."""
        raise NotImplementedError


class _PublisherTarget(_Target):
    kind = zmq.SUB

    def __init__(self) -> None:
        super().__init__()
        self._publisher = Publisher(LOOPBACK, {"a": "a"}, keys=self.keys)
        self.endpoint = self._publisher.endpoint

    def serve(self) -> int:
        self._publisher.write(Message("a", Text("hello")))
        return int(self._publisher.wanted("a"))

    def close(self) -> None:
        self._publisher.close()


class _RouterTarget(_Target):
    kind = zmq.DEALER

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0
        self._router = Router(
            LOOPBACK, per_client=4, max_bytes=1000, max_frames=2, keys=self.keys, counts=Counters()
        )
        self.endpoint = self._router.endpoint

    def serve(self) -> int:
        if (arrival := self._router.take(0.0)) is not None:
            self._taken += 1
            self._router.send(arrival.route, [b"answer"])
        return self._taken

    def close(self) -> None:
        self._router.close()
        self._router.join()


class _PacketsTarget(_Target):
    kind = zmq.PUSH

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0
        self._receiver = PacketReceiver(LOOPBACK, SystemClock(), server=self.keys)
        self.endpoint = self._receiver.endpoint

    def serve(self) -> int:
        self._taken += len(self._receiver.poll(10, 0.0))
        return self._taken

    def close(self) -> None:
        self._receiver.close()


TARGETS: dict[str, Callable[[], _Target]] = {
    "publisher": _PublisherTarget,
    "router": _RouterTarget,
    "packets": _PacketsTarget,
}


def _talk(
    target: _Target, endpoint: str, keys: ClientKeys | None, until: Callable[[], bool] | None = None
) -> bool:
    """Be a client until something is so, or it is served; return whether it was."""
    served = False
    with zmq.Context() as context, context.socket(target.kind) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.RECONNECT_IVL, 10)
        if keys is not None:
            secure_client(client, keys)
        if target.kind == zmq.SUB:
            client.subscribe(b"")
        monitor = client.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED)
        client.connect(endpoint)
        before, ends_s = target.serve(), time.monotonic() + _PATIENCE_S
        settled_s = None
        sent = taken = 0
        while time.monotonic() < ends_s:
            if target.kind != zmq.SUB and taken == sent and settled_s is None:
                with contextlib.suppress(zmq.Again):
                    client.send(b"hello", zmq.NOBLOCK)
                    sent += 1
            # PUSH sockets take nothing in.
            heard = target.kind != zmq.PUSH and client.poll(0)
            taken = target.serve() - before
            served = served or bool(heard) or taken > 0 or bool(monitor.poll(0))
            if served if until is None else until():
                settled_s = settled_s or time.monotonic() + _WAIT_S
            # What is still on its way would be taken for a replay.
            arrived = until is not None or target.kind == zmq.SUB or taken == sent
            if settled_s is not None and time.monotonic() > settled_s and arrived:
                break
            time.sleep(0.005)
        client.disable_monitor()
        monitor.close()
    return served


def _settled(target: _Target) -> int:
    """Return what a server has served, once that is all: the last of the client may still be on its way."""
    served, since_s = target.serve(), time.monotonic()
    while time.monotonic() < since_s + _WAIT_S:
        time.sleep(0.005)
        if (now := target.serve()) != served:
            served, since_s = now, time.monotonic()
    return served


def _attack(target: _Target, name: str, lines: list[str]) -> bool:
    """Attack a server once; return whether it served the attacker."""
    stranger, before = new_pair(), len(lines)

    def logged() -> bool:
        return len(lines) > before

    if name == "null_client":
        return _talk(target, target.endpoint, None, logged)
    if name == "wrong_client_key":
        return _talk(target, target.endpoint, ClientKeys(stranger, target.pair.public), logged)
    if name == "wrong_server_key":
        return _talk(target, target.endpoint, ClientKeys(target.friend, stranger.public), logged)
    with recording(target.endpoint) as recorder:
        keys = ClientKeys(target.friend, target.pair.public)
        if not _talk(target, recorder.endpoint, keys):
            raise RuntimeError("a client that may come in was not served: nothing was recorded")
        said = list(recorder.said[0])
    deadline_s, before_replay = time.monotonic() + _PATIENCE_S, _settled(target)
    heard_again = say_again(target.endpoint, said)
    while not logged() and time.monotonic() < deadline_s:
        target.serve()
        time.sleep(0.005)
    return _SERVED in heard_again or target.serve() > before_replay


ATTACKS = ("null_client", "wrong_client_key", "wrong_server_key", "replayed_handshake")


def unauthorised() -> dict[str, object]:
    """Attack each kind of server in each way, after a client that may come in has been served by it.

    Returns:
        `accepted`: attackers that were served; `attempts` and `logged` by attack; `served`: who served whom.
    """
    served: list[str] = []
    attempts, logged = dict.fromkeys(ATTACKS, 0), dict.fromkeys(ATTACKS, 0)
    with logged_lines() as lines:
        for name, make in TARGETS.items():
            for attack in ATTACKS:
                target, before = make(), len(lines)
                with contextlib.closing(target):
                    attempts[attack] += 1
                    if _attack(target, attack, lines):
                        served.append(f"{name}: {attack}")
                    logged[attack] += len(lines) > before
    return {"accepted": len(served), "attempts": attempts, "logged": logged, "served": served}


if __name__ == "__main__":
    print(json.dumps(unauthorised()))
