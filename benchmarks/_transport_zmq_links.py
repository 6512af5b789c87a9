# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Both ends of what is measured over ZeroMQ: ours, and bare pyzmq with the same frames.

A publisher has `begin(case)`, `prepare(pixels)` and `publish(pixels, stamp_ns)`; a subscriber calls
`take(pixels, stamp_ns)` from a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import numpy as np
import zmq

from lowlat_nodes.benchmarks._transport_cases import Case, Pixels
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

_BEFORE_STAMP: Final = b"\xa5trace\x96\xcf"

Take = Callable[[Pixels, int], None]

TOPIC: Final = "pixels"
WAITING: Final = 64
"""How many messages may wait at each end, of all that is compared."""

_STAMP: Final = 0x7654_3210_FEDC_BA98  # takes nine bytes of msgpack, as do all after 4.3 s of this clock


class OurPublisher:
    """Publishes through a `Publisher`.

    Args:
        endpoint: Where.
        lends: Whether what is sent lies in shared memory already, as with a camera that writes into a loan.
    """

    def __init__(self, endpoint: str, *, lends: bool) -> None:
        self._lends = lends
        self._publisher = Publisher(endpoint, {"out": TOPIC}, waiting=WAITING)
        self.endpoint = self._publisher.endpoint

    def begin(self, case: Case) -> None:
        """Send messages of that case from now on."""
        self._case = case

    def prepare(self, pixels: Pixels) -> Pixels:
        """Return the array to publish, before its stamp is taken."""
        loan = self._publisher.loan("out", pixels.shape, pixels.dtype) if self._lends else None
        if loan is None:
            return pixels
        loan.array[:] = pixels
        return loan.array

    def publish(self, pixels: Pixels, stamp_ns: int) -> None:
        """Publish an array with the stamp of its capture."""
        self._publisher.write(Message("out", self._case.payload(pixels), Trace(stamp_ns)))

    def close(self) -> None:
        """Remove the shared memory."""
        self._publisher.close()


class OurSubscriber:
    """Takes from a `Subscriber`.

    Args:
        endpoint: Of the publisher.
        take: Called with each array and its stamp.
        shares: Whether to take arrays out of shared memory.
    """

    def __init__(self, endpoint: str, take: Take, *, shares: bool) -> None:
        def deliver(message: Message) -> None:
            payload = message.payload
            take(payload if isinstance(payload, np.ndarray) else payload.data, message.trace.capture_ns)

        self.subscriber = Subscriber(
            endpoint, {"in": TOPIC}, clock=SteadyClock(), waiting=WAITING, shared_memory=shares
        )
        self.subscriber.start(deliver)


class BarePublisher:
    """Sends the bytes that ours sends with `send_multipart`; nothing is encoded but the stamp."""

    def __init__(self, endpoint: str, *, copy: bool, waiting: int = WAITING) -> None:
        self._copy = copy
        self._socket = zmq.Context().socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, waiting)
        self._socket.bind(endpoint)
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def begin(self, case: Case) -> None:
        """Send messages of that case from now on."""
        payload = case.payload(np.zeros(case.shape, np.uint8))
        self._topic, header = map(bytes, encode(Message("out", payload, Trace(_STAMP)), TOPIC, 1)[:2])
        self._before, self._after = header.split(_STAMP.to_bytes(8, "big"))

    def prepare(self, pixels: Pixels) -> Pixels:
        """Return the array to publish, before its stamp is taken."""
        return pixels

    def publish(self, pixels: Pixels, stamp_ns: int) -> None:
        """Send an array with a stamp."""
        header = b"".join((self._before, stamp_ns.to_bytes(8, "big"), self._after))
        self._socket.send_multipart((self._topic, header, pixels), copy=self._copy)

    def close(self) -> None:
        """Let go of the address."""
        self._socket.close(linger=0)


class BareSubscriber:
    """Takes with a blocking `recv_multipart`."""

    def __init__(self, endpoint: str, take: Take, *, copy: bool) -> None:
        self._copy = copy
        self._take = take
        self._socket = zmq.Context().socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, WAITING)
        self._socket.subscribe(TOPIC)
        self._socket.connect(endpoint)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            frames = self._socket.recv_multipart(copy=self._copy)
            header, pixels = (frames[1], frames[2]) if self._copy else (frames[1].bytes, frames[2].buffer)
            self._take(np.frombuffer(pixels, np.uint8), stamp_of(header))


def stamp_of(header: bytes) -> int:
    """Return the first stamp of a header; no more of it is read."""
    at = header.index(_BEFORE_STAMP) + len(_BEFORE_STAMP)
    return int.from_bytes(header[at : at + 8], "big")
