# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Receivers of every kind, each in a process of its own, for `_transport_socket_fuzz`.

A process says `{"endpoint": ...}` once it is there, `{"canary": N}` for each canary that it got whole, and
`{"counts": {...}}` for each line on standard input.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet, Text
from lowlat_nodes.transport.policy.gr00t_server import Gr00tServer
from lowlat_nodes.transport.policy.lowlat_server import LowlatServer
from lowlat_nodes.transport.zmq.packets import PacketReceiver
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.responder import Call, Responder
from lowlat_nodes.transport.zmq.subscriber import Subscriber
from lowlat_nodes.transport.zmq.work_sink import WorkSink
from lowlat_nodes.transport.zmq.work_source import WorkSource

LOOPBACK = "tcp://127.0.0.1:0"
CANARY = b"canary"
TOPICS = ("a", "chat")

_written = threading.Lock()


def main(kind: str, endpoint: str) -> None:
    """Receive until standard input ends."""
    TARGETS[kind](endpoint)


def say(**fields: Any) -> None:
    """Tell the parent something."""
    with _written:
        print(json.dumps(fields), flush=True)


def tell_counts(counts: Callable[[], Mapping[str, int]]) -> None:
    """Answer each line of standard input with the counts, until it ends."""
    for _ in sys.stdin:
        say(counts=dict(counts()))


class Echo:
    """A policy that answers with what it was asked."""

    def describe(self) -> Mapping[str, Any]:
        """Return what a server says of itself."""
        return {"echo": True}

    def respond(self, request: Mapping[str, Any], _client: str = "") -> Mapping[str, Any]:
        """Return the request as the answer."""
        return {"action": {key: value for key, value in request.items() if isinstance(key, str)}}

    def reset(self) -> None:
        """Begin anew."""


def _policy(server: LowlatServer | Gr00tServer) -> None:
    serving = threading.Thread(target=server.serve)
    serving.start()
    say(endpoint=server.address)
    tell_counts(server.counts)
    server.close()
    serving.join()


def _calls(_endpoint: str) -> None:
    def echo(called: Call) -> list[bytes]:
        return [bytes(frame) for frame in called.content]

    responder = Responder(LOOPBACK, {"echo": echo})
    responder.start()
    say(endpoint=responder.endpoint)
    tell_counts(responder.counts.snapshot)
    responder.close()


def _polling(source: PacketReceiver | WorkSource, endpoint: str) -> None:
    """Take what a source gives, in this thread; counts come from another one."""
    ended, taken = threading.Event(), Counters()

    def counts() -> Mapping[str, int]:
        return {**source.drops.snapshot(), **taken.snapshot()}

    def listen() -> None:
        tell_counts(counts)
        ended.set()

    listening = threading.Thread(target=listen)
    listening.start()
    say(endpoint=endpoint)
    while not ended.is_set():
        for message in source.poll(100, 0.05):
            taken.add("taken")
            packet = message.payload
            if isinstance(packet, Packet) and packet.key == CANARY:
                say(canary=int(bytes(packet.data)))
        source.commit()
    source.close()
    listening.join()


def _packets(_endpoint: str) -> None:
    receiver = PacketReceiver(LOOPBACK, SystemClock())
    _polling(receiver, receiver.endpoint)


def _work_source(endpoint: str) -> None:
    _polling(WorkSource(endpoint, SystemClock(), silent_after_s=0.5), endpoint)


def _work_sink(_endpoint: str) -> None:
    sink = WorkSink(LOOPBACK, "work", window=1000, patience_s=0.05)
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            with contextlib.suppress(UndeliveredError):
                sink.write(Message("work", Packet(b"work", CANARY)))

    writing = threading.Thread(target=write)
    writing.start()
    say(endpoint=sink.endpoint)
    tell_counts(sink.counts.snapshot)
    ended.set()
    writing.join()
    sink.close()


def _subscriber(endpoint: str) -> None:
    taken = Counters()

    def deliver(message: Message) -> None:
        taken.add("taken")
        text = message.payload
        if isinstance(text, Text) and text.data.startswith("canary "):
            say(canary=int(text.data.split()[1]))

    subscriber = Subscriber(endpoint, {topic: topic for topic in TOPICS}, clock=SystemClock())
    subscriber.start(deliver)
    say(endpoint=endpoint)
    tell_counts(lambda: {**subscriber.drops.snapshot(), **taken.snapshot()})
    subscriber.stop()


def _publisher(_endpoint: str) -> None:
    publisher = Publisher(LOOPBACK, {"chat": "chat", "a": "a"}, latched=("a",))
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.001):
            publisher.write(Message("chat", Text("hello")))
            publisher.write(Message("a", Text("hello")))

    writing = threading.Thread(target=write)
    writing.start()
    say(endpoint=publisher.endpoint)
    tell_counts(publisher.counts.snapshot)
    ended.set()
    writing.join()
    publisher.close()


def _listener(_endpoint: str) -> None:
    """Listen on the ROS side of a bridge."""
    import rclpy
    from std_msgs.msg import String

    rclpy.init()
    node = rclpy.create_node("listener")

    def heard(message: String) -> None:
        if message.data.startswith("canary "):
            say(canary=int(message.data.split()[1]))

    node.create_subscription(String, "/chat", heard, 1000)
    spinning = threading.Thread(target=rclpy.spin, args=(node,), daemon=True)
    spinning.start()
    say(endpoint="/chat")
    tell_counts(dict)
    rclpy.try_shutdown()
    spinning.join()


TARGETS: dict[str, Callable[[str], None]] = {
    "policy": lambda _endpoint: _policy(LowlatServer(Echo(), address=LOOPBACK)),
    "gr00t": lambda _endpoint: _policy(Gr00tServer(Echo(), address=LOOPBACK)),
    "calls": _calls,
    "packets": _packets,
    "work_sink": _work_sink,
    "work_source": _work_source,
    "subscriber": _subscriber,
    "publisher": _publisher,
    "listener": _listener,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
