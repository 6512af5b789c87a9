# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Serves a responder in our own protocol."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import RequestRefused, Responder
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.policy import lowlat
from lowlat_nodes.transport.zmq.curve import ServerKeys
from lowlat_nodes.transport.zmq.endpoint import check_endpoint, is_local
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
        if keys is None and not is_local(check_endpoint(address)):
            raise ConfigurationError(
                f"{address}: other machines can reach this address, and nothing would keep strangers out; "
                f"listen at tcp://127.0.0.1 or ipc://, or give the server's keys and those of its clients "
                f"(--key-file, --allow)"
            )
        if keys is not None and not keys.allowed:
            raise ConfigurationError(
                "expected the public key of at least one client that may come in (--allow)"
            )
        self._responder = responder
        self._counts = Counters()
        self._router = Router(
            address,
            per_client=_WAITING,
            max_bytes=MAX_MESSAGE,
            max_frames=lowlat.MAX_FRAMES,
            keys=keys,
            counts=self._counts,
        )

    @property
    def address(self) -> str:
        """Return where clients find it."""
        return self._router.endpoint

    def serve(self) -> None:
        """Answer requests, one at a time and in this thread, until `close`."""
        try:
            while (arrival := self._router.take()) is not None:
                self._serve(arrival)
        finally:
            self._router.close()
            self._router.join()

    def close(self) -> None:
        """Let `serve` return; for other threads and signal handlers."""
        self._router.close()

    def counts(self) -> dict[str, int]:
        """Return what happened so far, by name."""
        return self._counts.snapshot()

    def _serve(self, arrival: Arrival) -> None:
        try:
            header = lowlat.decode_header(arrival.frames)
        except WireError:
            self._counts.add("malformed")  # whoever sent it waits for nothing that we could name
            return
        if header.budget_ns and time.monotonic_ns() > arrival.received_ns + header.budget_ns:
            self._counts.add("expired")
            return
        try:
            kind, body = self._answer(header, arrival)
            frames = lowlat.encode(kind, header.number, body)
            self._counts.add("answered")
        except (WireError, RequestRefused) as error:
            self._counts.add("refused")
            frames = lowlat.encode(lowlat.ERROR, header.number, {"message": str(error)})
        except Exception as error:  # a policy is foreign code; what it says may be for our eyes only
            self._counts.add("failed")
            traceback.print_exc(file=sys.stderr)
            frames = lowlat.encode(lowlat.ERROR, header.number, {"message": type(error).__name__})
        self._router.send(arrival.route, frames)

    def _answer(self, header: lowlat.Header, arrival: Arrival) -> tuple[str, Mapping[str, Any]]:
        body = lowlat.decode_body(header, arrival.frames)
        if header.kind == lowlat.REQUEST:
            return lowlat.ANSWER, self._responder.respond(body)
        if header.kind == lowlat.DESCRIBE:
            return lowlat.DESCRIPTION, self._responder.describe()
        if header.kind == lowlat.RESET:
            self._responder.reset()
            return lowlat.DONE, {}
        raise RequestRefused(f"expected a request, got a message of kind {header.kind!r}")
