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
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator

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

FRIEND, STRANGER = CLIENTS = ("friend", "stranger")

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


class _Lines(logging.Handler):
    """Keeps the lines that our sockets log."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
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


class Target(ABC):
    """A server with keys, and what it takes from its clients.

    Attributes:
        kind: Of the socket that talks to it.
        pair: Its own keys.
        friend: The keys of the one client that may come in.
        endpoint: Where it is.
        taken: How often it has taken each thing that a client said. All that a client says differs, so what
            is taken twice was repeated.
    """

    kind: int

    def __init__(self) -> None:
        self.pair, self.friend = new_pair(), new_pair()
        self.keys = ServerKeys(self.pair, frozenset({self.friend.public}))
        self.endpoint = ""
        self.taken: Counter[bytes] = Counter()

    @abstractmethod
    def serve(self) -> None:
        """Do what the server does, once."""

    @property
    def idle(self) -> bool:
        """Return whether nothing is kept for clients."""
        return True

    @abstractmethod
    def close(self) -> None:
        """Let go of the address."""


class _PublisherTarget(Target):
    """Takes subscriptions, each client to a topic of its own name."""

    kind = zmq.SUB

    def __init__(self) -> None:
        super().__init__()
        self._publisher = Publisher(LOOPBACK, {name: name for name in CLIENTS}, keys=self.keys)
        self._wanted = dict.fromkeys(CLIENTS, False)
        self.endpoint = self._publisher.endpoint

    def serve(self) -> None:
        for name, was_wanted in self._wanted.items():
            self._publisher.write(Message(name, Text("hello")))
            self._wanted[name] = self._publisher.wanted(name)
            self.taken[name.encode()] += self._wanted[name] and not was_wanted

    @property
    def idle(self) -> bool:
        return not any(self._wanted.values())

    def close(self) -> None:
        self._publisher.close()


class _RouterTarget(Target):
    kind = zmq.DEALER

    def __init__(self) -> None:
        super().__init__()
        self._router = Router(
            LOOPBACK, per_client=4, max_bytes=1000, max_frames=2, keys=self.keys, counts=Counters()
        )
        self.endpoint = self._router.endpoint

    def serve(self) -> None:
        if (arrival := self._router.take(0.0)) is not None:
            self.taken[arrival.frames[0].bytes] += 1
            self._router.send(arrival.route, [b"answer"])

    def close(self) -> None:
        self._router.close()
        self._router.join()


class _PacketsTarget(Target):
    kind = zmq.PUSH

    def __init__(self) -> None:
        super().__init__()
        self._receiver = PacketReceiver(LOOPBACK, SystemClock(), server=self.keys)
        self.endpoint = self._receiver.endpoint

    def serve(self) -> None:
        self.taken.update(bytes(message.payload.data) for message in self._receiver.poll(10, 0.0))

    def close(self) -> None:
        self._receiver.close()


TARGETS: dict[str, Callable[[], Target]] = {
    "publisher": _PublisherTarget,
    "router": _RouterTarget,
    "packets": _PacketsTarget,
}


def talk(
    target: Target, endpoint: str, keys: ClientKeys | None, name: str, until: Callable[[], bool] | None = None
) -> list[str]:
    """Be a client until something is so, or it is served; return what it got.

    Args:
        target: The server.
        endpoint: Where the client connects.
        keys: Of the client.
        name: Begins all that the client says, and is what it subscribes to.
        until: Tells when to end; when the server has taken something unless given.
    """
    got: set[str] = set()
    with zmq.Context() as context, context.socket(target.kind) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.RECONNECT_IVL, 10)
        if keys is not None:
            secure_client(client, keys)
        if target.kind == zmq.SUB:
            client.subscribe(name)
        monitor = client.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED)
        client.connect(endpoint)
        ends_s, settled_s, sent = time.monotonic() + _PATIENCE_S, None, 0
        while time.monotonic() < ends_s and (settled_s is None or time.monotonic() < settled_s):
            if target.kind != zmq.SUB:
                with contextlib.suppress(zmq.Again):
                    client.send(f"{name} {sent}".encode(), zmq.NOBLOCK)
                    sent += 1
            target.serve()
            if monitor.poll(0):
                got.add("a handshake")
            if target.kind != zmq.PUSH and client.poll(0):  # PUSH sockets take nothing in
                got.add("messages")
            if any(said.startswith(name.encode()) for said in +target.taken):
                got.add("taken")
            if settled_s is None and ("taken" in got if until is None else until()):
                settled_s = time.monotonic() + _WAIT_S
            time.sleep(0.005)
        client.disable_monitor()
        monitor.close()
    return sorted(got)


def attack(target: Target, name: str, lines: list[str]) -> list[str]:
    """Attack a server once.

    Args:
        target: The server, which nobody has talked to.
        name: Out of `ATTACKS`.
        lines: What is logged.

    Returns:
        What the attacker got; nothing if it was kept out.
    """
    stranger, before = new_pair(), len(lines)

    def logged() -> bool:
        return len(lines) > before

    if name == "null_client":
        return talk(target, target.endpoint, None, STRANGER, logged)
    if name == "wrong_client_key":
        return talk(target, target.endpoint, ClientKeys(stranger, target.pair.public), STRANGER, logged)
    if name == "wrong_server_key":
        return talk(target, target.endpoint, ClientKeys(target.friend, stranger.public), STRANGER, logged)
    with recording(target.endpoint) as recorder:
        if "taken" not in talk(
            target, recorder.endpoint, ClientKeys(target.friend, target.pair.public), FRIEND
        ):
            raise RuntimeError("a client that may come in was not served: nothing was recorded")
        said = list(recorder.said[0])
    _serve(target, lambda: target.idle)
    heard = say_again(target.endpoint, said)
    _serve(target, logged)
    ends_s = time.monotonic() + _WAIT_S
    _serve(target, lambda: time.monotonic() > ends_s)
    return ["a handshake"] * (_SERVED in heard) + ["taken"] * (max(target.taken.values()) > 1)


def _serve(target: Target, until: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not until() and time.monotonic() < deadline_s:
        target.serve()
        time.sleep(0.005)


ATTACKS = ("null_client", "wrong_client_key", "wrong_server_key", "replayed_handshake")


def unauthorised() -> dict[str, object]:
    """Attack each kind of server in each way, after a client that may come in has been served by it.

    Returns:
        `accepted`: attackers that were served; `attempts` and `logged` by attack; `served`: who served
        which of them, and with what.
    """
    served: list[str] = []
    attempts, logged = dict.fromkeys(ATTACKS, 0), dict.fromkeys(ATTACKS, 0)
    with logged_lines() as lines:
        for name, make in TARGETS.items():
            for kind in ATTACKS:
                target, before = make(), len(lines)
                with contextlib.closing(target):
                    attempts[kind] += 1
                    if got := attack(target, kind, lines):
                        served.append(f"{name}: {kind}: {', '.join(got)}")
                    logged[kind] += len(lines) > before
    return {"accepted": len(served), "attempts": attempts, "logged": logged, "served": served}


if __name__ == "__main__":
    print(json.dumps(unauthorised()))
