# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that looks at a stream thirty times a second, slower than it comes, and notes how old it is.

Ours has a `Newest` mailbox behind a `Subscriber`; what many programs have instead is a socket with RCVHWM=1.
It answers `forget`, which leaves what waits behind, and `read COUNT` with the ages of what it got.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import zmq

from lowlat_nodes.benchmarks._transport_cases import Pixels
from lowlat_nodes.benchmarks._transport_end import PRIORITY
from lowlat_nodes.benchmarks._transport_zmq_links import TOPIC, OurSubscriber, stamp_of
from lowlat_nodes.nodes.realtime import request_fifo, sleep_until
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.mailbox import Newest
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace

RATE_HZ = 30.0
_PATIENCE_MS = 100


class NewestReader:
    """Gets the newest message from a mailbox."""

    def __init__(self, address: str, *, shares: bool) -> None:
        self._mailbox = Newest(SteadyClock())
        self._end = OurSubscriber(address, self._take, shares=shares)

    def _take(self, pixels: Pixels, stamp_ns: int) -> None:
        self._mailbox.put(Message("in", pixels, Trace(stamp_ns)))

    def read(self) -> tuple[Pixels, int] | None:
        """Return a message and its stamp, None if none comes."""
        found = self._mailbox.get(_PATIENCE_MS * 1e-3)
        return (found[0].payload, found[0].trace.capture_ns) if found else None

    def counts(self) -> dict[str, int]:
        """Return how many came, and how many of them were replaced before anybody looked."""
        return {"came": self._mailbox.accepted, "superseded": self._mailbox.drops["superseded"]}


class SmallQueueReader:
    """Receives the next message from a socket that keeps one."""

    def __init__(self, address: str) -> None:
        self._came = 0
        self._socket = zmq.Context().socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 1)
        self._socket.subscribe(TOPIC)
        self._socket.connect(address)

    def read(self) -> tuple[Pixels, int] | None:
        """Return a message and its stamp, None if none comes."""
        if not self._socket.poll(_PATIENCE_MS):
            return None
        frames = self._socket.recv_multipart()
        self._came += 1
        return np.frombuffer(frames[2], np.uint8), stamp_of(frames[1])

    def counts(self) -> dict[str, int]:
        """Return how many came; nobody counts what did not."""
        return {"came": self._came}


def ages(reader: Any, count: int) -> dict[str, Any]:
    """Look so many times, and return how old each message was when it could be used."""
    found_ns = []
    before = reader.counts()
    due_ns = time.monotonic_ns()
    for _ in range(count):
        due_ns += round(1e9 / RATE_HZ)
        sleep_until(due_ns)
        found = reader.read()
        if found is not None:
            found_ns.append(time.monotonic_ns() - found[1])
    return {"ages_ns": found_ns} | {name: value - before[name] for name, value in reader.counts().items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the end of the input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--link", required=True)
    parser.add_argument("--address", required=True)
    options = parser.parse_args(argv)
    request_fifo(PRIORITY, others=PRIORITY)
    reader: Any = (
        NewestReader(options.address, shares="shm" in options.link)
        if options.link.startswith("ours")
        else SmallQueueReader(options.address)
    )
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        what, *count = line.split()
        if what == "forget":
            while reader.read() is not None:
                pass
            print(json.dumps({}), flush=True)
        else:
            print(json.dumps(ages(reader, int(count[0]))), flush=True)
    os._exit(0)  # a thread that waits for messages waits for ever


if __name__ == "__main__":
    sys.exit(main())
