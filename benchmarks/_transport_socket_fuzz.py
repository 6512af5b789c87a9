# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Changed messages over real sockets: does any receiver crash, hang or grow?

Run by hand: python -m lowlat_nodes.benchmarks._transport_socket_fuzz --messages 200000
Each receiver is a process of its own. After each batch it must handle a canary, a message that is as it
should be; it hangs if it does not.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import queue
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import zmq

from lowlat_nodes.benchmarks._transport_attacks import dial
from lowlat_nodes.benchmarks._transport_socket_targets import CANARY, TARGETS, TOPICS
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet, Text
from lowlat_nodes.stream.requester import RequestError
from lowlat_nodes.transport.policy import gr00t, lowlat
from lowlat_nodes.transport.policy.lowlat_client import LowlatClient
from lowlat_nodes.transport.shm.host import host_token
from lowlat_nodes.transport.zmq import call, work
from lowlat_nodes.transport.zmq.caller import Caller
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.mutate import PAYLOADS, Mutator
from lowlat_nodes.transport.zmq.subscriber import Subscriber
from lowlat_nodes.transport.zmq.subscriptions import HEARTBEAT, WELCOME, alias
from lowlat_nodes.transport.zmq.work_source import WorkSource

PATIENCE_S = 30.0
"""A canary that is not handled within this time was the last one: a batch takes 0.1 s."""

_BATCH = 256
_PEERS = 64  # a router keeps a few requests of each client
_SHARE_RAW = 0.05  # of connections whose very bytes are changed
_SHARE_BY_HEADER = 0.5
_WARM_UP = 0.2  # of the messages; memory counts from then on

Frames = list[bytes]


def mutate(frames: Sequence[bytes], rng: random.Random) -> Frames:
    """Return a message with one to four changes, to bytes or to frames."""
    changed = [bytes(frame) for frame in frames]
    for _ in range(rng.randint(1, 4)):
        index = rng.randrange(len(changed)) if changed else 0
        kind = rng.randrange(10)
        if kind < 6 and changed:
            changed[index] = mutate_bytes(changed[index], rng)
        elif kind == 6 and len(changed) > 1:
            del changed[index]
        elif kind == 7 and changed:
            changed.insert(index, changed[rng.randrange(len(changed))])
        elif kind == 8:
            changed.insert(index, rng.randbytes(rng.choice((0, 1, 7, 300))))
        elif changed:
            other = rng.randrange(len(changed))
            changed[index], changed[other] = changed[other], changed[index]
    return changed


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return changed bytes: those of a msgpack map often as msgpack, so that they are still read."""
    kind = rng.randrange(6)
    if kind < 2:
        with contextlib.suppress(ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError):
            value = msgpack.unpackb(data, strict_map_key=False)
            if isinstance(value, dict) and value:
                key = rng.choice(list(value))
                value[key] = rng.choice(_VALUES)
                return bytes(msgpack.packb(value))
    if not data:
        return rng.randbytes(rng.randrange(40))
    at = rng.randrange(len(data))
    if kind == 2:
        return data[:at]
    if kind == 3:
        return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
    if kind == 4:
        return data[:at] + rng.choice(_LENGTHS) + data[at + 1 :]
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 2**64 - 1, 1e308, float("nan"), "", "a" * 300, "|O", "<f4", "<u2"),
    *(b"", b"\xff" * 40, [], [[]], [0], [-1], [2**40, 2**40], [1] * 40, {}, {"a": {"b": {}}}),
    *(
        [["<f4", [2**62]]],
        [["|O", [1]]],
        [["<f4", [0, 2**63]]],
        {"$array": 0},
        {"$array": 2**63},
        ["x", 1, 2],
    ),
)
_LENGTHS = tuple(bytes([kind]) + b"\xff" * 4 for kind in (0xC6, 0xC9, 0xDB, 0xDD, 0xDF))


def stream_seeds(number: int = 0) -> list[Frames]:
    """Return messages that a publisher could send, of the epoch of that number."""
    token = host_token()
    seeds = []
    for topic, payload in itertools.product(TOPICS, PAYLOADS):
        frames = [bytes(frame) for frame in encode(Message(topic, payload), topic, 5, epoch=number)]
        seeds += [frames, [alias(token, topic.encode()), *frames[1:]]]
        header = msgpack.unpackb(frames[1])
        header["shm"] = ["lowlat-1-2", 0, 1, [0] * len(frames[2:])]
        seeds.append([alias(token, topic.encode()), msgpack.packb(header)])
    beat = [
        bytes(frame)
        for frame in encode(Message("", Heartbeat("node", "running", 1, 0, 10**9)), "@heartbeat", 1)
    ]
    return [*seeds, [HEARTBEAT, *beat[1:]], [WELCOME + token.encode()], [WELCOME + b"another"]]


def observation() -> dict[str, Any]:
    """Return what a client asks a policy."""
    return {"state": np.zeros(4, np.float32), "image": np.zeros((2, 2, 3), np.uint8), "task": "go"}


class Process:
    """A receiver in a process of its own."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.canary = -1
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    @property
    def alive(self) -> bool:
        """Return whether it runs."""
        return self._process.poll() is None

    def memory_mb(self) -> float:
        """Return what it has in memory."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def ask(self) -> dict[str, int]:
        """Return its counts."""
        assert self._process.stdin is not None
        self._process.stdin.write("counts\n")
        self._process.stdin.flush()
        return dict(self.wait("counts"))

    def wait(self, name: str) -> Any:
        """Wait until it says something of that name."""
        ends_s = time.monotonic() + 2 * PATIENCE_S
        while time.monotonic() < ends_s:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=0.1)
                if line is None:
                    break
                if name in line:
                    return line[name]
        raise RuntimeError(f"the receiver did not say {name!r}")

    def end(self) -> None:
        """Have it end, by force if need be."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10.0)
        self.kill()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it by force."""
        self._process.kill()
        self._process.wait()
        self._reading.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if "canary" in said:
                    self.canary = max(self.canary, said["canary"])
                else:
                    self._lines.put(said)
        self._lines.put(None)


class Target(ABC):
    """A receiver and what is sent to it.

    Attributes:
        process: Where it runs.
    """

    kind = ""
    raw = b""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._context = zmq.Context()
        self._canaries = itertools.count()
        self._seeds = self.seeds()
        self._by_header = self._mutated()
        self.process = self.start()

    @abstractmethod
    def seeds(self) -> list[Frames]:
        """Return messages as they should be."""

    @abstractmethod
    def start(self) -> Process:
        """Start the process and connect to it."""

    @abstractmethod
    def batch(self, count: int) -> None:
        """Send so many changed messages."""

    @abstractmethod
    def canary(self) -> bool:
        """Return whether a message that is as it should be is handled in time."""

    def close(self) -> None:
        """End the process, and disconnect."""
        self._context.destroy(linger=0)
        self.process.end()

    def changed(self) -> Frames:
        """Return a changed message."""
        if self._rng.random() < _SHARE_BY_HEADER:
            return next(self._by_header)
        while not (frames := mutate(self._rng.choice(self._seeds), self._rng)):
            pass
        return frames

    def _mutated(self) -> Iterator[Frames]:
        """Yield messages whose second frame, the header of streams, is changed by what it holds."""
        seed = self._rng.randrange(1 << 32)
        while True:
            yield from filter(None, Mutator(self._seeds, seed).messages(1000))
            seed += 1

    def handled(self) -> int:
        """Return the newest canary that was handled."""
        return self.process.canary

    def _child(
        self, endpoint: str = "", kind: str = "", environment: Mapping[str, str] | None = None
    ) -> Process:
        module = "lowlat_nodes.benchmarks._transport_socket_targets"
        return Process([sys.executable, "-m", module, kind or self.kind, endpoint], environment)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.SNDTIMEO, 1000)
        made.setsockopt(zmq.RECONNECT_IVL, 10)
        return made

    def _until_handled(self, send: Callable[[int], None]) -> bool:
        """Send a canary, again if need be, until the process tells of it."""
        ends_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_s and self.process.alive:
            number = next(self._canaries)
            with contextlib.suppress(zmq.ZMQError):
                send(number)
            again_s = time.monotonic() + 0.5
            while time.monotonic() < again_s:
                if self.handled() >= number:
                    return True
                time.sleep(0.001)
        return False

    def _bytes(self, endpoint: str, kind: bytes) -> None:
        """Send a connection whose very bytes are changed, or whose frames are and not their lengths."""
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
        body = b"".join(_zmtp(self._rng.choice(self._seeds)))
        pieces = [greeting, bytes([4, len(ready)]) + ready, body]
        which = self._rng.randrange(3)
        pieces[which] = mutate_bytes(pieces[which], self._rng)
        with contextlib.suppress(OSError), dial(endpoint) as connection:
            connection.settimeout(1.0)
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)


def _zmtp(frames: Sequence[bytes]) -> Iterator[bytes]:
    for index, frame in enumerate(frames):
        more = int(index < len(frames) - 1)
        if len(frame) < 256:
            yield bytes([more, len(frame)]) + frame
        else:
            yield bytes([more | 2]) + struct.pack(">Q", len(frame)) + frame


class _Crowded(Target):
    """A server of many clients; few messages of each wait there."""

    per_client = 4
    envelope: tuple[bytes, ...] = ()

    def start(self) -> Process:
        process = self._child()
        self._endpoint = process.wait("endpoint")
        self._peers = [self._socket(zmq.DEALER) for _ in range(_PEERS)]
        for peer in self._peers:
            peer.connect(self._endpoint)
        return process

    def batch(self, count: int) -> None:
        for number in range(count):
            if self._rng.random() < _SHARE_RAW:
                self._bytes(self._endpoint, b"DEALER")
                continue
            peer = self._peers[number % _PEERS]
            with contextlib.suppress(zmq.ZMQError):
                peer.send_multipart([*self.envelope, *self.changed()])
            while peer.poll(0):
                peer.recv_multipart()
            if number % (_PEERS * self.per_client) == _PEERS * self.per_client - 1:
                self.canary()


class _Asked(_Crowded):
    """One that a client can ask something."""

    def canary(self) -> bool:
        ends_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_s and self.process.alive:
            with contextlib.suppress(RequestError):
                return self.ask(time.monotonic_ns() + 2_000_000_000)
        return False

    @abstractmethod
    def ask(self, deadline_ns: int) -> bool:
        """Be a client that asks as it should; return whether the answer is right."""


class _Policy(_Asked):
    kind = "policy"

    def seeds(self) -> list[Frames]:
        return [
            [bytes(frame) for frame in lowlat.encode(kind, number, body, budget_ns=10**9)]
            for number, (kind, body) in enumerate(
                [(lowlat.REQUEST, observation()), (lowlat.DESCRIBE, {}), (lowlat.RESET, {})]
            )
        ]

    def start(self) -> Process:
        process = super().start()
        self._client = LowlatClient(self._endpoint)
        self._client.describe()
        return process

    def ask(self, deadline_ns: int) -> bool:
        return "action" in self._client.request(observation(), deadline_ns=deadline_ns)

    def close(self) -> None:
        self._client.close()
        super().close()


class _Gr00t(_Asked):
    kind = "gr00t"
    per_client = 1
    envelope = (b"",)

    def seeds(self) -> list[Frames]:
        data = {
            "video": {"front": np.zeros((1, 1, 2, 2, 3), np.uint8)},
            "state": {"arm": np.zeros((1, 1, 4))},
        }
        return [
            [gr00t.encode({"endpoint": "get_action", "data": {"observation": data, "options": None}})],
            [gr00t.encode({"endpoint": "ping"})],
            [gr00t.encode({"endpoint": "get_modality_config"})],
            [gr00t.encode({"endpoint": "kill"})],
        ]

    def ask(self, deadline_ns: int) -> bool:
        with self._socket(zmq.REQ) as client:
            client.connect(self._endpoint)
            client.send(gr00t.encode({"endpoint": "ping"}))
            left_ms = (deadline_ns - time.monotonic_ns()) // 1_000_000
            return bool(client.poll(left_ms)) and "status" in gr00t.decode(client.recv())


class _Calls(_Asked):
    kind = "calls"
    per_client = 16

    def seeds(self) -> list[Frames]:
        made = [
            call.encode_call(1, "echo", [b"content", b"more"], budget_ns=10**9),
            call.encode_call(2, "x", []),
        ]
        return [[bytes(frame) for frame in frames] for frames in made]

    def start(self) -> Process:
        process = super().start()
        self._caller = Caller(self._endpoint)
        self._caller.connect(PATIENCE_S)
        return process

    def ask(self, deadline_ns: int) -> bool:
        return (
            bytes(self._caller.call("echo", [b"who"], (deadline_ns - time.monotonic_ns()) * 1e-9)[0])
            == b"who"
        )

    def close(self) -> None:
        self._caller.close()
        super().close()


class _Packets(Target):
    kind = "packets"

    def seeds(self) -> list[Frames]:
        return [[b"packet"], [b"key", b"packet" * 100]]

    def start(self) -> Process:
        process = self._child()
        self._endpoint = process.wait("endpoint")
        self._sender = self._socket(zmq.PUSH)
        self._sender.connect(self._endpoint)
        return process

    def batch(self, count: int) -> None:
        for _ in range(count):
            if self._rng.random() < _SHARE_RAW:
                self._bytes(self._endpoint, b"PUSH")
            else:
                with contextlib.suppress(zmq.ZMQError):
                    self._sender.send_multipart(self.changed())

    def canary(self) -> bool:
        return self._until_handled(lambda number: self._sender.send_multipart([CANARY, b"%d" % number]))


class _WorkSink(_Crowded):
    kind = "work_sink"
    per_client = 1000

    def seeds(self) -> list[Frames]:
        fields: dict[str, dict[str, Any]] = {
            work.HELLO: {"worker": "w", "session": 1, "limit": 2, "silent_ns": 10**8, "held": [(1, 1, 2)]},
            work.WANT: {"session": 1, "limit": 4},
            work.DONE: {"ids": [(1, 0, 3)]},
            work.REFUSE: {"epoch": 1, "seq": 1, "reason": "no"},
            work.BYE: {},
        }
        return [[work.encode_note(kind, **more)] for kind, more in fields.items()]

    def start(self) -> Process:
        process = super().start()
        self._worker = WorkSource(self._endpoint, SystemClock(), silent_after_s=0.5)
        return process

    def canary(self) -> bool:
        ends_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_s and self.process.alive:
            if self._worker.poll(10, 0.2):
                self._worker.commit()
                self._worker.poll(0, 0.0)
                return True
        return False

    def close(self) -> None:
        self._worker.close()
        super().close()


class _WorkSource(Target):
    kind = "work_source"

    def seeds(self) -> list[Frames]:
        seeds = [[work.encode_note(work.PING, epoch=1, waiting=3)], [work.encode_note(work.WHO)]]
        for number, payload in enumerate(PAYLOADS):
            note = work.encode_note(work.WORK, session=1, epoch=1, seq=number, failures=0)
            frames = encode(Message("work", payload), "work", number, epoch=1)
            seeds.append([note, *(bytes(frame) for frame in frames)])
        return seeds

    def start(self) -> Process:
        self._router = self._socket(zmq.ROUTER)
        self._router.bind("tcp://127.0.0.1:*")
        process = self._child(self._router.getsockopt_string(zmq.LAST_ENDPOINT))
        process.wait("endpoint")
        assert self._router.poll(int(PATIENCE_S * 1000))
        self._route = self._router.recv_multipart()[0]
        return process

    def batch(self, count: int) -> None:
        for _ in range(count):
            self._hear()
            self._router.send_multipart([self._route, *self.changed()])

    def canary(self) -> bool:
        def send(number: int) -> None:
            self._hear()
            packet = encode(
                Message("work", Packet(b"%d" % number, CANARY)), "work", number, epoch=time.time_ns()
            )
            note = work.encode_note(work.WORK, session=1, epoch=time.time_ns(), seq=number, failures=0)
            self._router.send_multipart([self._route, note, *packet])

        return self._until_handled(send)

    def _hear(self) -> None:
        while self._router.poll(0):
            self._route = self._router.recv_multipart()[0]  # it connects anew now and then


class _Subscriber(Target):
    kind = "subscriber"

    def seeds(self) -> list[Frames]:
        return stream_seeds()

    def start(self) -> Process:
        self._wanted: set[bytes] = set()
        self._publisher = self._socket(zmq.XPUB)
        self._publisher.setsockopt(zmq.SNDHWM, 0)
        self._publisher.bind("tcp://127.0.0.1:*")
        process = self.receiver(self._publisher.getsockopt_string(zmq.LAST_ENDPOINT))
        assert self._publisher.poll(int(PATIENCE_S * 1000))
        return process

    def receiver(self, endpoint: str) -> Process:
        """Start the process that subscribes."""
        return self._child(endpoint)

    def batch(self, count: int) -> None:
        self._seeds = stream_seeds(time.time_ns())  # what came before is not taken again
        for _ in range(count):
            self._hear()
            frames = self.changed()
            if self._rng.random() < 0.9 and self._wanted:
                frames[0] = self._rng.choice(sorted(self._wanted))  # others are not even sent
            self._publisher.send_multipart(frames)

    def canary(self) -> bool:
        return self._until_handled(self._send_canary)

    def _hear(self) -> None:
        """Take note of what the receiver wants by now."""
        while self._publisher.poll(0):
            event = self._publisher.recv()
            (self._wanted.add if event[0] else self._wanted.discard)(event[1:])

    def _send_canary(self, number: int) -> None:
        self._hear()
        frames = encode(Message("chat", Text(f"canary {number}")), "chat", number, epoch=time.time_ns())
        self._publisher.send_multipart(frames)
        header = bytes(frames[1])
        self._publisher.send_multipart([alias(host_token(), b"chat"), header, *frames[2:]])


_BRIDGE = """
bridge_node:
  ros__parameters:
    autostart: true
    peers: {there: {endpoint: "%s"}}
    routes:
      chat: {ros: /chat, zmq: chat, direction: to_ros, peer: there, keep: every, type: std_msgs/msg/String}
      image: {ros: /image, zmq: a, direction: to_ros, peer: there, keep: every, type: sensor_msgs/msg/Image}
"""


class _Bridge(_Subscriber):
    kind = "bridge"

    def receiver(self, endpoint: str) -> Process:
        self._folder = tempfile.TemporaryDirectory()
        parameters = Path(self._folder.name) / "bridge.yaml"
        parameters.write_text(_BRIDGE % endpoint, encoding="utf-8")
        self._environment = {**os.environ, "ROS_DOMAIN_ID": str(202 + os.getpid() % 30)}
        self._listener = self._child("", "listener", self._environment)
        self._listener.wait("endpoint")
        argv = [sys.executable, "-m", "lowlat_nodes.nodes.bridge_node"]
        return Process([*argv, "--ros-args", "--params-file", str(parameters)], self._environment)

    def handled(self) -> int:
        return self._listener.canary

    def close(self) -> None:
        self._context.destroy(linger=0)
        self._listener.end()
        self.process.kill()
        self._folder.cleanup()


class _Publisher(Target):
    kind = "publisher"

    def seeds(self) -> list[Frames]:
        topics = (b"a", b"chat", b"", HEARTBEAT, WELCOME, b"@x/a", b"x" * 300)
        return [*([b"\x01" + topic] for topic in topics), [b"\x00a"], [b"\x02hello"]]

    def start(self) -> Process:
        process = self._child()
        self._endpoint = process.wait("endpoint")
        self._subscriber = Subscriber(self._endpoint, {"chat": "chat"}, clock=SystemClock())
        self._heard = 0
        self._subscriber.start(self._hear)
        return process

    def batch(self, count: int) -> None:
        with self._socket(zmq.XSUB) as subscribing:
            subscribing.connect(self._endpoint)
            for _ in range(count):
                if self._rng.random() < _SHARE_RAW:
                    self._bytes(self._endpoint, b"SUB")
                else:
                    subscribing.send_multipart(self.changed())
            # What it heard meanwhile shows that the connection stood.
            subscribing.poll(1000)

    def canary(self) -> bool:
        before, ends_s = self._heard, time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_s and self.process.alive:
            if self._heard > before + 1:
                return True
            time.sleep(0.001)
        return False

    def close(self) -> None:
        self._subscriber.stop()
        super().close()

    def _hear(self, _message: Message) -> None:
        self._heard += 1


KINDS: dict[str, type[Target]] = {
    made.kind: made
    for made in (_Policy, _Gr00t, _Calls, _Packets, _WorkSink, _WorkSource, _Subscriber, _Publisher, _Bridge)
}


def fuzz(messages: int = 200_000, kinds: Iterable[str] = tuple(KINDS), seed: int = 1) -> dict[str, Any]:
    """Send changed messages to receivers of each kind, one after the other.

    Returns:
        `messages`, `crashes`, `hangs`, `rss_growth_mb` (the largest, after a fifth of the messages), and the
        same by kind in `targets`, with what the receivers counted.
    """
    chosen = list(kinds)
    targets = {
        kind: _fuzz_one(KINDS[kind], -(-messages // len(chosen)), random.Random(f"{seed} {kind}"))
        for kind in chosen
    }
    return {
        "messages": sum(found["messages"] for found in targets.values()),
        "crashes": sum(found["crashes"] for found in targets.values()),
        "hangs": sum(found["hangs"] for found in targets.values()),
        "rss_growth_mb": max(found["rss_growth_mb"] for found in targets.values()),
        "targets": targets,
    }


def _fuzz_one(make: type[Target], messages: int, rng: random.Random) -> dict[str, Any]:
    crashes = hangs = sent = 0
    counts: dict[str, int] = {}
    target = make(rng)
    if not target.canary():
        target.close()
        raise RuntimeError(f"{make.kind}: the receiver does not handle what it should")
    began_s, before_mb = time.monotonic(), 0.0
    while sent < messages:
        size = min(_BATCH, messages - sent)
        target.batch(size)
        sent += size
        if target.canary():
            if not before_mb and sent >= _WARM_UP * messages:
                before_mb = target.process.memory_mb()
            continue
        if target.process.alive:
            hangs += 1
            target.process.kill()
        else:
            crashes += 1
        target.close()
        target = make(rng)
        before_mb = 0.0
    growth_mb = target.process.memory_mb() - before_mb if before_mb else 0.0
    if make.kind in TARGETS:
        counts = target.process.ask()
    target.close()
    return {
        "messages": sent,
        "crashes": crashes,
        "hangs": hangs,
        "rss_growth_mb": round(growth_mb, 1),
        "seconds": round(time.monotonic() - began_s, 1),
        "counts": counts,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps(fuzz(options.messages, options.kind or tuple(KINDS), options.seed)))


if __name__ == "__main__":
    main()
