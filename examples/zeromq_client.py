# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints what a node publishes over ZeroMQ, without ROS: images, detections, results of alerts, anything.

    lowlat up examples/zeromq.yaml              # in one terminal: a simulated camera and the detector
    python3 examples/zeromq_client.py tcp://127.0.0.1:5581 camera            # in another
    python3 examples/zeromq_client.py tcp://127.0.0.1:5582 detector_node/camera/detections

On the same host images come through shared memory, as views: nothing is copied. `Newest` keeps the newest
message only, however slow this program is, and counts what it did not see.
"""

from __future__ import annotations

import sys
from typing import Any

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.mailbox import Newest
from lowlat_nodes.stream.payload import Detections, Image, Record
from lowlat_nodes.transport.zmq.subscriber import Subscriber


def describe(payload: Any) -> str:
    if isinstance(payload, Image):
        return f"image {payload.width}x{payload.height} {payload.encoding}, mean {payload.data.mean():.1f}"
    if isinstance(payload, Detections):
        found = [f"{payload.names[int(row[5])]} {row[4]:.2f}" for row in payload.rows]
        return "detections: " + (", ".join(found) or "none")
    if isinstance(payload, Record):
        return "record: " + ", ".join(f"{name} {value}" for name, value in payload.fields.items())
    return type(payload).__name__


def main(endpoint: str, topic: str) -> None:
    clock = SystemClock()
    mailbox = Newest(clock)
    subscriber = Subscriber(endpoint, {"input": topic}, clock=clock)
    subscriber.start(mailbox.put)  # from a thread of its own; the publisher may come later, go, and come back
    try:
        while True:
            for message in mailbox.get(timeout_s=1.0):
                age_ms = message.trace.age_ns(clock.now_ns()) / 1e6
                missed = subscriber.drops.total + mailbox.drops.total
                print(
                    f"{message.sequence}: {describe(message.payload)}; {age_ms:.1f} ms old; "
                    f"{subscriber.in_place} through shared memory, {missed} not seen",
                    flush=True,
                )
    except KeyboardInterrupt:
        pass  # Ctrl-C is how it ends
    finally:
        subscriber.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
