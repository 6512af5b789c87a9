# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Answers the requests of a `Router`, whatever the protocol: late ones not, bad ones with a reason."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from typing import Protocol, TypeVar

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.requester import RequestRefused
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.inbox import Arrival
from lowlat_nodes.transport.zmq.router import Router

Frames = Sequence[bytes | memoryview]
R = TypeVar("R")


class Answers(Protocol[R]):
    """What a protocol makes of a request."""

    def read(self, frames: list[zmq.Frame]) -> tuple[R, int]:
        """Return the head of a request, and its budget in ns from arrival, 0 for none.

        Raises:
            WireError: If it cannot be answered, as nothing tells what it is.
        """
        ...

    def answer(self, head: R, arrival: Arrival) -> Frames:
        """Return the answer to a request.

        Raises:
            WireError: If it is malformed.
            RequestRefused: If it does not fit.
        """
        ...

    def refuse(self, head: R, text: str) -> Frames:
        """Return the answer that tells why there is none."""
        ...


def answer_next(router: Router, answers: Answers[R], counts: Counters) -> bool:
    """Wait for a request, answer it, and return True; False once the router is closed."""
    arrival = router.take()
    if arrival is None:
        return False
    answer(arrival, router, answers, counts)
    return True


def answer(arrival: Arrival, router: Router, answers: Answers[R], counts: Counters) -> None:
    """Answer a request.

    What becomes of it is counted: `malformed` (no answer), `expired` (no work either), `answered`, `refused`,
    or `failed` (whose traceback stays here; the client gets the name of the error).
    """
    try:
        head, budget_ns = answers.read(arrival.frames)
    except WireError:
        counts.add("malformed")  # whoever sent it waits for nothing that we could name
        return
    if budget_ns and time.monotonic_ns() > arrival.received_ns + budget_ns:
        counts.add("expired")
        return
    try:
        frames = answers.answer(head, arrival)
        counts.add("answered")
    except (WireError, RequestRefused) as error:
        counts.add("refused")
        frames = answers.refuse(head, str(error))
    except Exception as error:  # foreign code; what it says may be for our eyes only
        counts.add("failed")
        traceback.print_exc(file=sys.stderr)
        frames = answers.refuse(head, type(error).__name__)
    router.send(arrival.route, frames)
