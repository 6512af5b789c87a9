# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages over Zenoh: between peers, over a router, for newcomers, and from publishers that come and go."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Detections, Image
from lowlat_nodes.stream.peer import PeerState
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zenoh.keys import prefix_of
from lowlat_nodes.transport.zenoh.publisher import ZenohPublisher
from lowlat_nodes.transport.zenoh.session import ZenohSettings, open_session
from lowlat_nodes.transport.zenoh.subscriber import ZenohSubscriber
from lowlat_nodes.transport.zmq.frames import Received

pytestmark = pytest.mark.zenoh

PATIENCE_S = 60.0
PREFIX = "fleet/robot_1"
ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).parent / "zenoh_process.py"
OUTPUTS = {"image": "camera/image", "offers": "offers"}


def free_endpoint() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp/127.0.0.1:{free.getsockname()[1]}"


def until(condition: Callable[[], Any], act: Callable[[], Any] = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        act()
        time.sleep(0.01)


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    """Open sessions that are closed in the end."""
    with contextlib.ExitStack() as stack:

        def make(**settings: Any) -> Any:
            session = open_session(ZenohSettings(**settings))
            stack.callback(session.close)
            return session

        yield make


@pytest.fixture
def pair(opened: Callable[..., Any]) -> tuple[Any, Any]:
    """Two sessions that know each other: of a publisher and of a subscriber."""
    endpoint = free_endpoint()
    return opened(listen=(endpoint,)), opened(connect=(endpoint,))


class Heard:
    """A subscriber and what it delivered."""

    def __init__(self, session: Any, *inputs: str, **options: Any) -> None:
        self.messages: list[Message] = []
        self.subscriber = ZenohSubscriber(
            session, PREFIX, {name: OUTPUTS[name] for name in inputs}, clock=SystemClock(), **options
        )
        self.subscriber.start(self.messages.append)

    def close(self) -> None:
        self.subscriber.stop()

    def state(self) -> PeerState:
        return self.subscriber.peer.states(time.monotonic_ns())[0]


def image(number: int = 1) -> Message:
    pixels = np.full((48, 64, 3), number, np.uint8)
    return Message("image", Image(pixels, "rgb8"), Trace(1_000, published_ns=time.time_ns()), 7, "optical")


def test_a_message_comes_as_it_was_sent(pair: tuple[Any, Any]) -> None:
    with (
        contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher,
        contextlib.closing(Heard(pair[1], "image")) as heard,
    ):
        until(lambda: heard.messages, lambda: publisher.write(image()))
    message = heard.messages[0]
    assert (message.topic, message.frame_id, message.trace.capture_ns) == ("image", "optical", 1_000)
    assert message.trace.received_ns > 0
    assert np.array_equal(message.payload.data, image().payload.data)
    assert not message.payload.data.flags.writeable


def test_payloads_of_several_arrays(pair: tuple[Any, Any]) -> None:
    rows = np.array([[1.0, 2.0, 3.0, 4.0, 0.5, 0.0]], np.float32)
    sent = Detections(rows, ("cup",), np.array([5], np.int64))
    with (
        contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher,
        contextlib.closing(Heard(pair[1], "image")) as heard,
    ):
        until(lambda: heard.messages, lambda: publisher.write(Message("image", sent)))
    got = heard.messages[0].payload
    assert np.array_equal(got.rows, rows)
    assert (got.names, got.tracks.tolist()) == (("cup",), [5])


def test_what_nobody_wants_is_not_sent_and_not_missed(pair: tuple[Any, Any]) -> None:
    with contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher:
        for _ in range(10):
            publisher.write(image())
        assert not publisher.wanted("image")
        with contextlib.closing(Heard(pair[1], "image")) as heard:
            until(lambda: publisher.wanted("image"))
            until(lambda: heard.messages, lambda: publisher.write(image()))
            assert heard.subscriber.drops["lost"] == 0


def test_a_newcomer_gets_the_last_message_of_each_origin_of_a_latched_topic_once(
    pair: tuple[Any, Any],
) -> None:
    with contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS, latched={"offers"})) as publisher:
        for number in range(4):
            publisher.write(Message("offers", np.array([number])), origin=bytes([number % 2]))
        publisher.write(image())
        with contextlib.closing(Heard(pair[1], "offers", "image")) as heard:
            until(lambda: len(heard.messages) == 2)
            until(lambda: publisher.wanted("offers"))
            publisher.write(Message("offers", np.array([9])))
            until(lambda: len(heard.messages) == 3)
            assert [message.payload.item() for message in heard.messages] == [2, 3, 9]
            assert heard.subscriber.drops.snapshot() == {}
        publisher.forget("offers", b"\0")
        publisher.forget("offers", b"")
        with contextlib.closing(Heard(pair[1], "offers")) as late:
            until(lambda: late.messages)
            assert [message.payload.item() for message in late.messages] == [3]


def test_a_topic_can_become_latched(pair: tuple[Any, Any]) -> None:
    with contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher:
        publisher.latch("offers")
        publisher.write(Message("offers", np.array([5])))
        with contextlib.closing(Heard(pair[1], "offers")) as heard:
            until(lambda: heard.messages)


def test_whoever_subscribed_first_gets_what_was_latched_before_the_link_stood(
    opened: Callable[..., Any],
) -> None:
    endpoint = free_endpoint()
    with contextlib.closing(Heard(opened(connect=(endpoint,)), "offers")) as heard:
        assert heard.state().state == "never seen"
        with contextlib.closing(
            ZenohPublisher(opened(), "elsewhere", OUTPUTS, latched={"offers"})
        ) as nobody_hears:
            nobody_hears.write(Message("offers", np.array([1])))
        with contextlib.closing(
            ZenohPublisher(opened(listen=(endpoint,)), PREFIX, OUTPUTS, latched={"offers"})
        ) as publisher:
            publisher.write(Message("offers", np.array([5])))
            until(lambda: heard.messages)
            assert heard.messages[0].payload.item() == 5


def test_messages_go_over_a_router_to_clients(opened: Callable[..., Any]) -> None:
    endpoint = free_endpoint()
    opened(mode="router", listen=(endpoint,))
    ends = [opened(mode="client", connect=(endpoint,)) for _ in range(2)]
    with (
        contextlib.closing(ZenohPublisher(ends[0], PREFIX, OUTPUTS, latched={"offers"})) as publisher,
        contextlib.closing(Heard(ends[1], "image", "offers")) as heard,
    ):
        publisher.write(Message("offers", np.array([5])))
        until(lambda: len(heard.messages) > 3, lambda: publisher.write(image()))
        until(lambda: "offers" in {message.topic for message in heard.messages})
        assert heard.subscriber.link.stands


def test_losses_are_counted_and_old_and_unwanted_messages_dropped(pair: tuple[Any, Any]) -> None:
    admitted: list[tuple[str, ...]] = []

    def admit(received: Received) -> bool:
        admitted.append(received.via)
        return "own" not in received.via

    with (
        contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher,
        contextlib.closing(Heard(pair[1], "image", admit=admit)) as heard,
    ):
        until(lambda: heard.messages, lambda: publisher.write(image(), via=("other",)))
        old = image()
        old.trace.published_ns -= 10**12
        publisher.write(old, budget_ns=10**9)
        until(lambda: heard.subscriber.drops["expired"] == 1)
        before = len(heard.messages)
        publisher.write(image(), via=("own",))
        until(lambda: admitted[-1] == ("own",))
        assert len(heard.messages) == before


def test_a_slow_consumer_keeps_the_publisher_from_nothing_and_its_losses_are_counted(
    pair: tuple[Any, Any],
) -> None:
    go_on = threading.Event()
    big = Message("image", np.zeros(4_000_000, np.uint8))
    with contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher:
        subscriber = ZenohSubscriber(pair[1], PREFIX, {"image": OUTPUTS["image"]}, clock=SystemClock())
        got: list[int] = []

        def deliver(message: Message) -> None:
            got.append(message.sequence)
            assert go_on.wait(PATIENCE_S)

        subscriber.start(deliver)
        try:
            until(lambda: got, lambda: publisher.write(image()))
            sent = 100
            for _ in range(sent):
                publisher.write(big)
            go_on.set()
            until(lambda: subscriber.drops["lost"] > 0, lambda: publisher.write(image()))
            assert got == sorted(set(got))
            assert subscriber.received == len(got)
        finally:
            subscriber.stop()


def test_malformed_messages_are_counted(pair: tuple[Any, Any]) -> None:
    with contextlib.closing(Heard(pair[1], "image")) as heard:
        until(
            lambda: heard.subscriber.drops["malformed"] > 0,
            lambda: pair[0].put(f"{PREFIX}/camera/image", b"\2\0\0\0rubbish"),
        )
        assert heard.subscriber.last_failure.startswith(f"zenoh://{PREFIX}: expected")
        with contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher:
            until(lambda: heard.messages, lambda: publisher.write(image()))


def test_nothing_is_delivered_after_the_stop(pair: tuple[Any, Any]) -> None:
    with contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher:
        heard = Heard(pair[1], "image")
        until(lambda: heard.messages, lambda: publisher.write(image()))
        heard.subscriber.stop()
        before = len(heard.messages)
        for _ in range(20):
            publisher.write(image())
        time.sleep(0.2)
        assert len(heard.messages) == before
        heard.subscriber.start(heard.messages.append)
        until(lambda: len(heard.messages) > before, lambda: publisher.write(image()))
        heard.subscriber.stop()


def test_heartbeats_come_and_are_repeated_to_newcomers(pair: tuple[Any, Any]) -> None:
    with contextlib.closing(ZenohPublisher(pair[0], PREFIX, OUTPUTS)) as publisher:
        publisher.beat(Heartbeat("/camera", "running", 12, 3_000_000, 250_000_000))
        time.sleep(1.0)
        with contextlib.closing(Heard(pair[1], "image")) as heard:
            until(lambda: heard.state().state == "silent")  # it came when the loop hung already
            assert (heard.state().name, heard.state().sequence) == ("/camera", 12)
            assert heard.state().for_ns > 10**9
            until(
                lambda: heard.state().state == "idle",
                lambda: publisher.beat(Heartbeat("/camera", "idle", 13, 1, 250_000_000)),
            )


def test_a_publisher_that_is_killed_is_gone_and_seen_when_it_comes_again(
    opened: Callable[..., Any],
) -> None:
    endpoint = free_endpoint()
    subscriber = ZenohSubscriber(opened(connect=(endpoint,)), PREFIX, {"n": "numbers"}, clock=SystemClock())
    got: list[Message] = []
    subscriber.start(got.append)

    def state() -> str:
        return subscriber.peer.states(time.monotonic_ns())[0].state

    try:
        for _ in range(2):
            with started(endpoint) as process:
                got.clear()
                until(lambda: state() == "running" and got)
                process.send_signal(signal.SIGSTOP)
                until(lambda: state() in {"silent", "gone"})
                until(lambda: state() == "gone")  # once its lease is over
                process.send_signal(signal.SIGCONT)
                until(lambda: state() == "running")
                process.kill()
                until(lambda: state() == "gone")
    finally:
        subscriber.stop()


@contextlib.contextmanager
def started(endpoint: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    process = subprocess.Popen([sys.executable, str(PROGRAM), endpoint, PREFIX], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["", "a//b", "/a", "a/", "a/*", "a/**", "$a", "a b", "@a", "a#b", "a?b"])
def test_names_that_mean_more_than_themselves_are_refused(name: str, pair: tuple[Any, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected names with single slashes"):
        prefix_of(f"zenoh://{name}")
    with pytest.raises(ConfigurationError, match="expected names with single slashes"):
        ZenohPublisher(pair[0], PREFIX, {"image": name})


def test_an_endpoint_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="zenoh://fleet/robot_1"):
        prefix_of("tcp://127.0.0.1:5555")
    assert prefix_of("zenoh://fleet/robot_1") == PREFIX
