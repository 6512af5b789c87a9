# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A program for tests: a processor behind a publisher that beats; what it is told on standard input, it does.

Arguments: ENDPOINT [PERIOD_S [KEYS]], where KEYS is a folder with the keys of a server and a client. `work`
is published; `spin`, `hold` and `sleep SECONDS` hang the processor.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable

import numpy as np

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.mailbox import Newest
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.pipeline import Pipeline
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.pulse import PERIOD_S, Pulse
from lowlat_nodes.transport.zmq.curve import load_server_keys
from lowlat_nodes.transport.zmq.publisher import Publisher


class Obedient(Processor):
    """Does as it is told."""

    outputs = ("results",)

    def process(self, message: Message) -> Iterable[Message]:
        order = message.payload
        while order == "spin":
            pass
        if order == "hold":  # the interpreter's lock, in C
            re.match(r"(a+)+$", "a" * 64 + "b")
        if order.startswith("sleep"):
            time.sleep(float(order.split()[1]))
        return [message.derive("results", np.zeros(3))]


def main() -> None:
    """Run until standard input ends."""
    endpoint, period, folder, *_ = [*sys.argv[1:], "", ""]
    keys = load_server_keys(f"{folder}/server.key_secret", [f"{folder}/client.key"]) if folder else None
    publisher = Publisher(endpoint, {"results": "results"}, keys=keys)
    pulse = Pulse("/obedient", publisher.beat, period_s=float(period or PERIOD_S))
    clock = SystemClock()
    pipeline = Pipeline([], Newest(clock), Obedient(), publisher, clock, pulse=pulse)
    pipeline.start()
    print(publisher.endpoint, flush=True)
    for line in sys.stdin:
        pipeline.deliver(Message("orders", line.strip()))
    pipeline.stop()


if __name__ == "__main__":
    main()
