# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Answers calls of methods by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import RequestRefused
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.zmq import call
from lowlat_nodes.transport.zmq.answering import Frames, answer_next
from lowlat_nodes.transport.zmq.curve import ServerKeys, check_exposure
from lowlat_nodes.transport.zmq.endpoint import check_endpoint
from lowlat_nodes.transport.zmq.inbox import Arrival
from lowlat_nodes.transport.zmq.router import Router


@dataclass(frozen=True, slots=True)
class Call:
    """A call that came.

    Attributes:
        method: Its name.
        content: Frames, in the memory of the transport.
        deadline_ns: CLOCK_MONOTONIC time at which the reply is of no use, 0 for never.
    """

    method: str
    content: list[memoryview]
    deadline_ns: int


Method = Callable[[Call], call.Content]
"""Returns the reply, at most 16 frames; raises `RequestRefused` with a text for the caller."""


class Responder:
    """Serves methods by name, from `start` to `close`, with threads of its own.

    A call whose time is over when its turn comes is skipped: no work, no reply. A method that raises answers
    its caller with the text of a `RequestRefused`, and otherwise with the name of the error alone; the
    traceback goes to standard error.

    Args:
        endpoint: Where to listen: `tcp://HOST:PORT` (port 0 takes a free one) or `ipc:///PATH`.
        methods: By name. With more than one thread they are called side by side.
        keys: Keys of CURVE and the clients that may come in; None listens in the clear, on this machine only.
        threads: How many methods run side by side.
        waiting: How many calls of one client may wait; the oldest gives way, and is not answered. With 1 only
            the newest is.
        max_bytes: Largest frame of a call; a larger one breaks the connection.

    Attributes:
        endpoint: Where clients find it.
        counts: Calls by what became of them: `answered`, `refused`, `failed`, `expired`, `malformed`,
            `superseded` and `crowded`; replies that were `unreachable`; `keys_refused`, `handshakes_refused`.

    Raises:
        ConfigurationError: If the endpoint cannot be had, other machines could reach it without keys, or an
            argument is out of range.
    """

    def __init__(
        self,
        endpoint: str,
        methods: Mapping[str, Method],
        *,
        keys: ServerKeys | None = None,
        threads: int = 1,
        waiting: int = 16,
        max_bytes: int = MAX_MESSAGE,
    ) -> None:
        check_exposure(check_endpoint(endpoint), keys)
        if threads < 1 or waiting < 1:
            raise ConfigurationError(f"expected at least 1 thread and call, got {threads} and {waiting}")
        self.counts = Counters()
        self._methods = dict(methods)
        self._router = Router(
            endpoint,
            per_client=waiting,
            max_bytes=max_bytes,
            max_frames=call.MAX_FRAMES,
            keys=keys,
            counts=self.counts,
        )
        self.endpoint = self._router.endpoint
        self._threads = [
            threading.Thread(target=self._run, name=f"responder-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin to answer; what came before waits."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Answer no more, once the methods that run have returned."""
        self._router.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._router.join()

    def read(self, frames: list[zmq.Frame]) -> tuple[call.CallHeader, int]:
        """Return the header of a call; see `Answers`."""
        header = call.decode_header(frames)
        if header.kind != call.CALL:
            raise WireError(f"expected a call, got a message of kind {header.kind!r}")
        return header, header.budget_ns

    def answer(self, header: call.CallHeader, arrival: Arrival) -> Frames:
        """Have a method answer."""
        method = self._methods.get(header.method)
        if method is None:
            raise RequestRefused(f"there is no method {header.method!r}; there are {self._known()}")
        deadline_ns = arrival.received_ns + header.budget_ns if header.budget_ns else 0
        content = method(Call(header.method, call.content(arrival.frames), deadline_ns))
        return call.encode_reply(header.number, content)

    def refuse(self, header: call.CallHeader, text: str) -> Frames:
        """Return an error as the answer."""
        return call.encode_error(header.number, text)

    def _known(self) -> str:
        return ", ".join(map(repr, self._methods)) or "none"

    def _run(self) -> None:
        while answer_next(self._router, self, self.counts):
            pass
