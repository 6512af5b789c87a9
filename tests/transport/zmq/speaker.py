# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A publisher of another make, which says exactly what a test tells it to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq.frames import encode

PATIENCE_S = 60.0


class Speaker:
    """An XPUB socket that knows who listens."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:0", epoch: int = 0) -> None:
        self.epoch = epoch
        self._numbers: dict[str, int] = {}
        self._heard: Counter[bytes] = Counter()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(endpoint)
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def wait_for_listener(self, prefix: str = "") -> None:
        """Wait until somebody subscribes to a prefix."""
        deadline = time.monotonic() + PATIENCE_S
        wanted = b"\x01" + prefix.encode()
        while not self._heard[wanted]:
            assert self._socket.poll(round(1000 * max(deadline - time.monotonic(), 0))), f"nobody: {prefix!r}"
            self._heard[self._socket.recv()] += 1
        self._heard[wanted] -= 1

    def say(
        self, topic: str, payload: Any, published_ns: int = 0, sequence: int | None = None
    ) -> list[bytes]:
        """Publish a payload and return its frames."""
        number = self._numbers.get(topic, 0) if sequence is None else sequence
        self._numbers[topic] = number + 1
        stamp_ns = published_ns or time.time_ns()
        message = Message(topic, payload, Trace(capture_ns=max(stamp_ns - 5_000, 0), published_ns=stamp_ns))
        frames = [bytes(frame) for frame in encode(message, topic, number, epoch=self.epoch)]
        self.send(frames)
        return frames

    def send(self, frames: list[bytes]) -> None:
        """Publish frames as they are."""
        self._socket.send_multipart(frames)

    def close(self) -> None:
        self._context.destroy(linger=0)


@contextmanager
def speaking(endpoint: str = "tcp://127.0.0.1:0", epoch: int = 0) -> Iterator[Speaker]:
    speaker = Speaker(endpoint, epoch)
    try:
        yield speaker
    finally:
        speaker.close()
