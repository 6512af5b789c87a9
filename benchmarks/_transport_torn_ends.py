# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A writer that is faster than its reader, and a reader that holds on to what it has been given.

Every frame is one number, over and over. The writer sends without a pause, every other frame by way of a
loan. The reader looks through a whole frame when it comes and again when it lets it go, after a random time:
a frame that holds two numbers, or another one than before, is torn.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.mailbox import Fifo
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

TOPIC: Final = "frames"
NUMBERS: Final = 25_000
"""uint64 in a frame: 200 kB."""

_SLOTS: Final = 16
_WAITING: Final = 2  # in the mailbox; the oldest goes
_LONG_SHARE: Final = 0.02
_SHORT_S: Final = 0.0004
_LONG_S: Final = 0.03
_HELD: Final = 8  # at once; each is a slot that the writer has to leave alone


def write(endpoint: str) -> None:
    """Publish as fast as it goes, until the input ends; then tell how many."""
    publisher = Publisher(endpoint, {"out": TOPIC}, slots=_SLOTS)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print(json.dumps({"endpoint": publisher.endpoint}), flush=True)
    frame = np.zeros(NUMBERS, np.uint64)
    number = 0
    while not ended.is_set():
        number += 1
        loan = publisher.loan("out", frame.shape, frame.dtype) if number % 2 else None
        array = frame if loan is None else loan.array
        array[:] = number
        publisher.write(Message("out", array))
        del loan, array
    publisher.close()
    print(json.dumps({"written": number, **publisher.counts.snapshot()}), flush=True)


class Holder:
    """Holds frames for random times, several at once, and looks at them again before it lets go."""

    def __init__(self, seed: int) -> None:
        self.looked = self.torn = 0
        self._dice = random.Random(seed)
        self._held: list[tuple[float, int, NDArray[np.uint64], int]] = []

    def hold(self, frame: NDArray[np.uint64]) -> None:
        """Look at a frame and keep it for a while."""
        self.looked += 1
        number = int(frame[0])
        if not self._is(frame, number):
            self.torn += 1
            return
        mean_s = _LONG_S if self._dice.random() < _LONG_SHARE else _SHORT_S
        until_s = time.monotonic() + self._dice.expovariate(1.0 / mean_s)
        heapq.heappush(self._held, (until_s, self.looked, frame, number))

    def let_go(self) -> None:
        """Let go of what was held long enough; of the first in any case, if that many are held."""
        while self._held and (self._held[0][0] <= time.monotonic() or len(self._held) >= _HELD):
            _, _, frame, number = heapq.heappop(self._held)
            self.torn += not self._is(frame, number)

    @staticmethod
    def _is(frame: NDArray[np.uint64], number: int) -> bool:
        return bool((frame == number).all())


def read(endpoint: str, count: int, seed: int) -> dict[str, Any]:
    """Look at so many frames out of shared memory."""
    mailbox = Fifo(SteadyClock(), _WAITING)
    subscriber = Subscriber(endpoint, {"in": TOPIC}, clock=SteadyClock())
    subscriber.start(mailbox.put)
    holder = Holder(seed)
    while holder.looked < count:
        for message in mailbox.get(0.01):
            holder.hold(message.payload)
        holder.let_go()
    subscriber.stop()
    return {
        "frames": holder.looked,
        "torn": holder.torn,
        "received": subscriber.received,
        "in_place": subscriber.in_place,
        "not_looked_at": mailbox.drops["overflow"],
        **subscriber.drops.snapshot(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", choices=("writer", "reader"), required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--count", type=int, default=0, help="frames that the reader looks at")
    parser.add_argument("--seed", type=int, default=1, help="of the times for which it holds them")
    options = parser.parse_args(argv)
    if options.role == "writer":
        write(options.endpoint)
    else:
        print(json.dumps(read(options.endpoint, options.count, options.seed)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
