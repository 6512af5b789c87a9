# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes recorded frames again, as a new run of a publisher."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgpack
import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.connections import connection_of, hang_up
from lowlat_nodes.transport.zmq.curve import ServerKeys
from lowlat_nodes.transport.zmq.frames import MAX_FRAMES, encode_topic
from lowlat_nodes.transport.zmq.header import MAX_HEADER, unpack
from lowlat_nodes.transport.zmq.listening import listen, stop_listening
from lowlat_nodes.transport.zmq.options import MAX_SUBSCRIPTION, bound_subscriptions, probe, receive
from lowlat_nodes.transport.zmq.subscriptions import Subscriptions

_WAITING = 64  # messages for each subscriber
_LINGER_MS = 5000  # for the last messages
_ROOM_S = 0.0005  # between two looks whether a full subscriber has room again
_LAST_NS = (1 << 63) - 1
_SUBSCRIBE, _UNSUBSCRIBE = b"\x01", b"\x00"


class Replayer:
    """An XPUB socket for messages that were published before.

    They go out with their headers; only the number and the run of the publisher are new, so that subscribers
    count losses of this publisher and not of that one. For one thread.

    Args:
        endpoint: Where to listen: `tcp://HOST:PORT` (port 0 takes a free one) or `ipc:///PATH`.
        keys: Keys of CURVE and the subscribers that may come in; None publishes in the clear, on this machine
            only.

    Attributes:
        endpoint: Where it listens.
        counts: Subscribers that did not get in, see `Gate`, and those that were cut because they subscribed
            to more than memory has room for (`connections_cut`).

    Raises:
        ConfigurationError: If the endpoint cannot be had, or other machines could reach it without keys.
    """

    def __init__(self, endpoint: str, *, keys: ServerKeys | None = None) -> None:
        self.counts = Counters()
        self._epoch = time.time_ns()
        self._published: dict[str, int] = {}
        self._wanted: set[bytes] = set()
        self._subscriptions = Subscriptions([], "")  # what is published is not known: all of them count
        self._socket = socket = zmq.Context().socket(zmq.XPUB)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.SNDHWM, _WAITING)
        bound_subscriptions(socket)
        probe(socket)
        try:
            self.endpoint = listen(
                socket,
                endpoint,
                keys=keys,
                counts=self.counts,
                max_bytes=MAX_SUBSCRIPTION,
                options="--key, --allow",
            )
        except BaseException:
            self.close()
            raise

    def heard(self, topic: str) -> bool:
        """Return whether anybody subscribes to a topic."""
        self._listen()
        name = topic.encode()
        return any(name.startswith(prefix) for prefix in self._wanted)

    def send(
        self,
        topic: str,
        frames: Sequence[bytes | memoryview],
        *,
        patience_s: float = 0.0,
        published_now: bool = False,
    ) -> bool:
        """Publish a recorded message.

        Args:
            topic: What to publish it as.
            frames: Those of the recording; the first one is not looked at.
            patience_s: How long to wait for a subscriber that does not keep up.
            published_now: Whether its stamps move so that it was published now, the times between them as
                they were.

        Returns:
            Whether all subscribers that were there got it, if there was patience; otherwise, or in the end,
            those that are too slow lose it.

        Raises:
            WireError: If the frames are no message, or one whose arrays were elsewhere.
        """
        self._listen()
        number = self._published.get(topic, 0)
        now_ns = time.time_ns() if published_now else 0
        header = _renewed(frames, self._epoch, number, now_ns)
        message = [encode_topic(topic), header, *frames[2:]]
        kept_up = self._send_to_all(message, patience_s) if patience_s else True
        if not patience_s or not kept_up:
            self._socket.send_multipart(message, zmq.NOBLOCK)
        self._published[topic] = number + 1
        return kept_up

    def close(self) -> None:
        """Send what waits to be sent, for 5 s at most, and let go of the address."""
        stop_listening(self._socket)

    def _listen(self) -> None:
        """Take note of subscriptions, which would pile up otherwise."""
        while (frames := receive(self._socket, 1)) is not None:
            event = frames[0].bytes
            if event[:1] == _SUBSCRIBE:
                self._wanted.add(event[1:])
            elif event[:1] == _UNSUBSCRIBE:
                self._wanted.discard(event[1:])
            self._subscriptions.take(event, connection_of(frames[0]))
            crowd = self._subscriptions.crowd()
            if crowd is not None and hang_up(crowd, self.endpoint):
                self.counts.add("connections_cut")

    def _send_to_all(self, message: Sequence[bytes | memoryview], patience_s: float) -> bool:
        """Send a message once every subscriber has room for it; return False if one never had."""
        deadline = time.monotonic() + patience_s
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        try:
            while not self._sent(message):
                if time.monotonic() > deadline:
                    return False
                time.sleep(_ROOM_S)
        finally:
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)
        return True

    def _sent(self, message: Sequence[bytes | memoryview]) -> bool:
        try:
            self._socket.send_multipart(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


def _renewed(frames: Sequence[bytes | memoryview], epoch: int, number: int, now_ns: int) -> bytes:
    """Return the header of a message with another run and number; with stamps that end now, if given."""
    if not 2 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"expected 2 to {MAX_FRAMES} frames, got {len(frames)}")
    header = unpack(frames[1], len(frames) - 2)
    if header.place is not None:
        raise WireError("its arrays were in shared memory, and are gone")
    fields = {**header.fields, "seq": number, "epoch": epoch}
    if now_ns:
        stamps = fields["trace"]
        later_ns = now_ns - max(stamps)
        fields["trace"] = [min(max(stamp + later_ns, 0), _LAST_NS) if stamp else 0 for stamp in stamps]
    try:
        renewed: bytes = msgpack.packb(fields)
    except (ValueError, OverflowError) as error:  # what a key that we do not know holds
        raise WireError(f"header: {error}") from error
    if len(renewed) > MAX_HEADER:
        raise WireError(f"expected a header of at most {MAX_HEADER} bytes, got {len(renewed)}")
    return renewed
