# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One end of one transport, as a process of its own that answers lines with JSON.

A publisher answers `send CASE COUNT [RATE]`, a subscriber `taken SINCE COUNT` with the latencies of what was
sent since then, and what copies `copy CASE COUNT`. Stamps are of CLOCK_MONOTONIC, which all processes of a
machine share; they are taken before the publisher is called, and compared when the pixels can be used.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lowlat_nodes.benchmarks._transport_cases import CASES, Pixels, Pool, check, mark
from lowlat_nodes.nodes.realtime import request_fifo, sleep_until

PRIORITY = 10
_SLOTS = 8  # a Publisher's
_PATIENCE_S = 0.5  # for what is on its way


def publisher(link: str, address: str) -> Any:
    """Return the publishing end of a link."""
    if link.startswith("rclpy"):
        from lowlat_nodes.benchmarks._transport_ros_links import RosPublisher

        return RosPublisher(address, tuned="tuned" in link, reliable="reliable" in link)
    if "zenoh" in link:
        from lowlat_nodes.benchmarks._transport_zenoh_links import OverZenohPublisher

        return OverZenohPublisher()
    from lowlat_nodes.benchmarks._transport_zmq_links import WAITING, BarePublisher, OurPublisher

    if link.startswith("pyzmq"):
        return BarePublisher(address, copy="nocopy" not in link, waiting=1 if "hwm1" in link else WAITING)
    return OurPublisher(address, lends="loan" in link)


def subscriber(link: str, address: str, take: Callable[[Pixels, int], None]) -> Any:
    """Return the receiving end of a link."""
    if link.startswith("rclpy"):
        from lowlat_nodes.benchmarks._transport_ros_links import RosSubscriber

        return RosSubscriber(address, take, tuned="tuned" in link, reliable="reliable" in link)
    if "zenoh" in link:
        from lowlat_nodes.benchmarks._transport_zenoh_links import OverZenohSubscriber

        return OverZenohSubscriber(address, take)
    from lowlat_nodes.benchmarks._transport_zmq_links import BareSubscriber, OurSubscriber

    if link.startswith("pyzmq"):
        return BareSubscriber(address, take, copy="nocopy" not in link)
    return OurSubscriber(address, take, shares="shm" in link or "loan" in link)


class Sending:
    """Publishes at the rate of a case."""

    def __init__(self, link: str, address: str) -> None:
        self._pool = Pool()
        self._end = publisher(link, address)
        self.about = {"endpoint": self._end.endpoint}

    def answer(self, what: str, case_name: str, count: str, rate_hz: str = "") -> dict[str, Any]:
        """Send messages; the first stamp tells them from those before."""
        assert what == "send"
        case = CASES[case_name]
        self._end.begin(case)
        arrays = self._pool.of(case)
        period_ns = round(1e9 / float(rate_hz or case.rate_hz))
        due_ns = time.monotonic_ns() + period_ns
        first_ns = due_ns
        for _ in range(int(count)):
            pixels = self._end.prepare(next(arrays))
            sleep_until(due_ns)
            stamp_ns = time.monotonic_ns()
            mark(pixels, stamp_ns)
            self._end.publish(pixels, stamp_ns)
            del pixels  # a loan is over with the last array on it
            due_ns += period_ns
        return {"first_ns": first_ns, "sent": int(count)}

    def close(self) -> None:
        """Remove what is shared."""
        self._end.close()


class Taking:
    """Notes when messages arrive."""

    def __init__(self, link: str, address: str) -> None:
        self._came: list[tuple[int, int]] = []
        self._broken = 0
        self._end = subscriber(link, address, self._take)
        self.about = {"ready": True}

    def _take(self, pixels: Pixels, stamp_ns: int) -> None:
        try:
            check(pixels, stamp_ns)
        except ValueError:
            self._broken += 1
        self._came.append((stamp_ns, time.monotonic_ns() - stamp_ns))

    def answer(self, what: str, first_ns: str, count: str) -> dict[str, Any]:
        """Return the latencies of what was sent from then on, when it is all here or nothing more comes."""
        assert what == "taken"
        deadline_s = time.monotonic() + _PATIENCE_S
        while len(self._came) < int(count) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        time.sleep(0.01)
        came, self._came = self._came, []
        broken, self._broken = self._broken, 0
        return {"latencies_ns": [ns for stamp_ns, ns in came if stamp_ns >= int(first_ns)], "broken": broken}

    def close(self) -> None:
        """Do nothing: nothing is left behind."""


class Copying:
    """Copies arrays at the rate of a case, from cold memory to cold memory, or to slots that come around."""

    def __init__(self, link: str, _address: str) -> None:
        self._source, self._destination = Pool(), Pool()
        self._slots = _SLOTS if link.endswith("slots") else None
        self.about = {"ready": True}

    def answer(self, what: str, case_name: str, count: str) -> dict[str, Any]:
        """Return how long each copy took."""
        assert what == "copy"
        case = CASES[case_name]
        sources, destinations = self._source.of(case), self._destination.of(case)
        if self._slots:
            destinations = itertools.cycle(list(itertools.islice(destinations, self._slots)))
        period_ns = round(1e9 / case.rate_hz)
        due_ns = time.monotonic_ns() + period_ns
        latencies_ns = []
        for _ in range(int(count)):
            source, destination = next(sources), next(destinations)
            sleep_until(due_ns)
            stamp_ns = time.monotonic_ns()
            mark(source, stamp_ns)
            np.copyto(destination, source)
            check(destination, stamp_ns)
            latencies_ns.append(time.monotonic_ns() - stamp_ns)
            due_ns += period_ns
        return {"latencies_ns": latencies_ns, "broken": 0}

    def close(self) -> None:
        """Do nothing: nothing is left behind."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the end of the input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", choices=["publisher", "subscriber", "copier"], required=True)
    parser.add_argument("--link", required=True)
    parser.add_argument("--address", default="")
    options = parser.parse_args(argv)
    granted = request_fifo(PRIORITY, others=PRIORITY)  # threads that are made from now on inherit it
    roles = {"publisher": Sending, "subscriber": Taking, "copier": Copying}
    end = roles[options.role](options.link, options.address)
    gc.collect()
    gc.freeze()
    print(json.dumps({**end.about, "scheduler": granted}), flush=True)
    for line in sys.stdin:
        print(json.dumps(end.answer(*line.split())), flush=True)
    end.close()
    os._exit(0)  # threads that wait for messages wait for ever


if __name__ == "__main__":
    sys.exit(main())
