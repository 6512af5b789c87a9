# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Serves a responder in our own protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.requester import RequestRefused, Responder
from lowlat_nodes.transport.arrays import MAX_MESSAGE
from lowlat_nodes.transport.policy import lowlat
from lowlat_nodes.transport.zmq.answering import Frames, answer
from lowlat_nodes.transport.zmq.curve import ServerKeys
from lowlat_nodes.transport.zmq.inbox import Arrival
from lowlat_nodes.transport.zmq.router import Router

_WAITING = 4  # requests of one client


class LowlatServer:
    """A policy server that skips, and counts, requests whose time is over before their turn comes.

    Args:
        responder: Answers.
        address: Where to listen: `tcp://HOST:PORT` (port 0 takes a free one) or `ipc:///PATH`.
        keys: Keys of CURVE and the clients that may come in; None listens in the clear, on this machine only.

    Raises:
        ConfigurationError: If the address cannot be had, or other machines could reach it without keys.
    """

    def __init__(self, responder: Responder, *, address: str, keys: ServerKeys | None = None) -> None:
        self._responder = responder
        self._counts = Counters()
        self._router = Router(
            address,
            per_client=_WAITING,
            max_bytes=MAX_MESSAGE,
            max_frames=lowlat.MAX_FRAMES,
            keys=keys,
            counts=self._counts,
            options="--key, --allow",
        )

    @property
    def address(self) -> str:
        """Return where clients find it."""
        return self._router.endpoint

    def serve(self, pulse: Pulse | None = None) -> None:
        """Answer requests, one at a time and in this thread, until `close`; beats there."""
        try:
            for arrival in self._router.arrivals(pulse or Pulse("policy")):
                answer(arrival, self._router, self, self._counts)
        finally:
            self._router.close()
            self._router.join()

    def close(self) -> None:
        """Let `serve` return; for other threads and signal handlers."""
        self._router.close()

    def counts(self) -> dict[str, int]:
        """Return what happened so far, by name."""
        return self._counts.snapshot()

    def read(self, frames: list[zmq.Frame]) -> tuple[lowlat.Header, int]:
        """Return the header of a request; see `Answers`."""
        header = lowlat.decode_header(frames)
        return header, header.budget_ns

    def answer(self, header: lowlat.Header, arrival: Arrival) -> Frames:
        """Have the responder answer."""
        kind, body = self._answer(header, arrival)
        return lowlat.encode(kind, header.number, body)

    def refuse(self, header: lowlat.Header, text: str) -> Frames:
        """Return an error as the answer."""
        return lowlat.encode(lowlat.ERROR, header.number, {"message": text})

    def _answer(self, header: lowlat.Header, arrival: Arrival) -> tuple[str, Mapping[str, Any]]:
        body = lowlat.decode_body(header, arrival.frames)
        if header.kind == lowlat.REQUEST:
            return lowlat.ANSWER, self._responder.respond(body, arrival.client)
        if header.kind == lowlat.DESCRIBE:
            return lowlat.DESCRIPTION, self._responder.describe()
        if header.kind == lowlat.RESET:
            self._responder.reset()
            return lowlat.DONE, {}
        raise RequestRefused(f"expected a request, got a message of kind {header.kind!r}")
