# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks a policy server in our own protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import AnswerRefused, ServerError
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.policy import lowlat
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.dealer import Dealer

_CONNECT_NS = 2_000_000_000
_DESCRIBE_NS = 10_000_000_000  # servers may be in the middle of an inference


class LowlatClient:
    """A `Requester` whose requests carry the time that is left for them, so that servers can skip the late.

    Args:
        address: `tcp://HOST:PORT` or `ipc:///PATH`; the server need not be there yet.
        token: Must be empty; this protocol has keys.
        keys: Keys of CURVE; None for a connection in the clear.

    Raises:
        ConfigurationError: If the address is none, or a token is given.
    """

    def __init__(self, address: str, *, token: str = "", keys: ClientKeys | None = None) -> None:
        if token:
            raise ConfigurationError("the lowlat protocol has keys instead of a token; leave the token empty")
        self.counts = Counters()
        self._dealer = Dealer(
            address, max_bytes=MAX_MESSAGE, max_frames=lowlat.MAX_FRAMES, keys=keys, counts=self.counts
        )

    def describe(self) -> dict[str, Any]:
        """Return what the server says of itself; waits up to 2 s for it and 10 s for the answer."""
        self._dealer.connect(time.monotonic_ns() + _CONNECT_NS)
        return self._call(lowlat.DESCRIBE, {}, lowlat.DESCRIPTION, time.monotonic_ns() + _DESCRIBE_NS)

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> dict[str, Any]:
        """Ask and wait for the answer to this very request; see `Requester`."""
        return self._call(lowlat.REQUEST, observation, lowlat.ANSWER, deadline_ns)

    def reset(self, *, deadline_ns: int) -> None:
        """Tell the server that an episode begins; raises as `request` does."""
        self._call(lowlat.RESET, {}, lowlat.DONE, deadline_ns)

    def close(self) -> None:
        """Close the connection."""
        self._dealer.close()

    def _call(self, kind: str, body: Mapping[str, Any], wanted: str, deadline_ns: int) -> dict[str, Any]:
        return self._dealer.ask(
            lambda number, left_ns: lowlat.encode(kind, number, body, budget_ns=left_ns),
            lambda number, answer: _read(answer, number, wanted),
            deadline_ns=deadline_ns,
        )


def _read(frames: list[zmq.Frame], number: int, wanted: str) -> dict[str, Any] | None:
    """Return the body of the answer to a request, None if the message answers another one."""
    try:
        header = lowlat.decode_header(frames)
        if header.number != number:
            return None
        body = lowlat.decode_body(header, frames)
    except WireError as error:
        raise AnswerRefused(f"the answer cannot be used: {error}") from error
    if header.kind == lowlat.ERROR:
        raise ServerError(str(body.get("message", "")))
    if header.kind != wanted:
        raise AnswerRefused(f"expected a message of kind {wanted!r} as the answer, got {header.kind!r}")
    return body
