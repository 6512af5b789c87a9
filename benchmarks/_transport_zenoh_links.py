# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Both ends of what is measured over Zenoh, as those of ZeroMQ are."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import numpy as np

from lowlat_nodes.benchmarks._transport_cases import Case, Pixels
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zenoh.publisher import ZenohPublisher
from lowlat_nodes.transport.zenoh.session import ZenohSettings, open_session
from lowlat_nodes.transport.zenoh.subscriber import ZenohSubscriber

_PREFIX: Final = "bench"
_TOPIC: Final = "pixels"


class OverZenohPublisher:
    """Publishes through a `ZenohPublisher` that listens on this machine."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp/127.0.0.1:{free.getsockname()[1]}"
        self._session = open_session(ZenohSettings(listen=(self.endpoint,)))
        self._publisher = ZenohPublisher(self._session, _PREFIX, {"out": _TOPIC})

    def begin(self, case: Case) -> None:
        """Send messages of that case from now on."""
        self._case = case

    def prepare(self, pixels: Pixels) -> Pixels:
        """Return the array to publish, before its stamp is taken."""
        return pixels

    def publish(self, pixels: Pixels, stamp_ns: int) -> None:
        """Publish an array with the stamp of its capture."""
        self._publisher.write(Message("out", self._case.payload(pixels), Trace(stamp_ns)))

    def close(self) -> None:
        """Let go of the address."""
        self._publisher.close()
        self._session.close()


class OverZenohSubscriber:
    """Takes from a `ZenohSubscriber`.

    Args:
        endpoint: Of the publisher's session.
        take: Called with each array and its stamp.
    """

    def __init__(self, endpoint: str, take: Callable[[Pixels, int], None]) -> None:
        def deliver(message: Message) -> None:
            payload = message.payload
            take(payload if isinstance(payload, np.ndarray) else payload.data, message.trace.capture_ns)

        session = open_session(ZenohSettings(connect=(endpoint,)))
        self.subscriber = ZenohSubscriber(session, _PREFIX, {"in": _TOPIC}, clock=SteadyClock())
        self.subscriber.start(deliver)
