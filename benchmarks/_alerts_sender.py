# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that sends alerts to a node over ZeroMQ, as fast as it takes them or on a schedule of its own.

It answers lines on standard input: `flood COUNT` and `pace COUNT RATE` send so many alerts with rising
numbers, the second kind when each is due, whatever became of those before. The answer is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lowlat_nodes.benchmarks._alerts_packets import Recorded, is_recorded, ztf_packets
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.zmq.packets import PacketSender

FIRST_ID = 1 << 60
_LATE_NS = 1_000_000
_SLEEP_S = 0.0002


def main(argv: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--endpoint", required=True)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--core", type=int, required=True)
    given = options.parse_args(argv)
    os.sched_setaffinity(0, {given.core})
    packets = ztf_packets(given.data)
    sender = PacketSender(given.endpoint, waiting=64)
    sent = 0
    mean_bytes = sum(len(packet.data) for packet in packets) / len(packets)
    about = {"packets": len(packets), "mean_bytes": mean_bytes, "recorded": is_recorded(given.data)}
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        what, *numbers = line.split()
        count = int(numbers[0])
        told = (
            _pace(sender, packets, sent, count, float(numbers[1]))
            if what == "pace"
            else _flood(sender, packets, sent, count)
        )
        sent += count
        print(json.dumps(told), flush=True)
    sender.close()
    return 0


def _flood(sender: PacketSender, packets: Sequence[Recorded], first: int, count: int) -> dict[str, float]:
    begin_ns = time.time_ns()
    for number in range(first, first + count):
        sender.send(Packet(packets[number % len(packets)].numbered(FIRST_ID + number)), timeout_s=60.0)
    return {"first": first, "count": count, "begin_ns": begin_ns, "end_ns": time.time_ns()}


def _pace(
    sender: PacketSender, packets: Sequence[Recorded], first: int, count: int, rate_hz: float
) -> dict[str, float]:
    """Send each alert when it is due; how late it went out is part of its latency, and told apart."""
    begin_ns = time.time_ns() + 100_000_000
    step_ns = 1e9 / rate_hz
    late = 0
    for number in range(count):
        packet = Packet(packets[(first + number) % len(packets)].numbered(FIRST_ID + first + number))
        due_ns = begin_ns + round(number * step_ns)
        while (left_ns := due_ns - time.time_ns()) > 0:
            if left_ns > 300_000:
                time.sleep(_SLEEP_S)
        late += -left_ns > _LATE_NS
        sender.send(packet, timeout_s=60.0)
    return {"first": first, "count": count, "begin_ns": begin_ns, "step_ns": step_ns, "sent_late": late}


if __name__ == "__main__":
    sys.exit(main())
