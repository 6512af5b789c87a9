# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publisher and subscriber as processes that may be killed.

The publisher sends images by shared memory to this host, and small commands over a network with keys. The
subscriber appends a line `KIND STAMP TIME` to a file for each message: when it was published and taken, in ns
of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lowlat_nodes.benchmarks._transport_roles import client_keys, server_keys
from lowlat_nodes.nodes.realtime import sleep_until
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

KINDS: Final = ("image", "command")
_COMMAND_HZ: Final = 100
_PER_IMAGE: Final = 3  # commands
_SHAPE: Final = (480, 640, 3)


def publish(here: str, network: str, keys: Path | None) -> None:
    """Publish for ever."""
    images = Publisher(here, {"image": "image"})
    commands = Publisher(network, {"command": "command"}, keys=server_keys(keys))
    frame, command = np.zeros(_SHAPE, np.uint8), np.zeros(7)
    due_ns, number = time.monotonic_ns(), 0
    while True:
        due_ns += 1_000_000_000 // _COMMAND_HZ
        sleep_until(due_ns)
        due_ns = max(due_ns, time.monotonic_ns() - 1_000_000_000)  # after a stop, no burst of what is over
        stamp_ns = time.monotonic_ns()
        commands.write(Message("command", command, Trace(stamp_ns)))
        if number % _PER_IMAGE == 0:
            images.write(Message("image", Image(frame, "rgb8"), Trace(stamp_ns)))
        number += 1


def subscribe(here: str, network: str, keys: Path | None, file: Path) -> None:
    """Note for ever what comes."""
    lines = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(message: Message) -> None:
        os.write(lines, f"{message.topic} {message.trace.capture_ns} {time.monotonic_ns()}\n".encode())

    sources = (
        Subscriber(here, {"image": "image"}, clock=SteadyClock()),
        Subscriber(network, {"command": "command"}, clock=SteadyClock(), keys=client_keys(keys)),
    )
    for source in sources:
        source.start(note)
    threading.Event().wait()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("publisher", "subscriber"))
    parser.add_argument("--here", required=True, help="ipc:// address of the images")
    parser.add_argument("--network", required=True, help="tcp:// address of the commands")
    parser.add_argument("--keys", type=Path, help="folder of certificates; in the clear without")
    parser.add_argument("--file", type=Path, help="of the subscriber")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if options.role == "publisher":
        publish(options.here, options.network, options.keys)
    else:
        subscribe(options.here, options.network, options.keys, options.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
