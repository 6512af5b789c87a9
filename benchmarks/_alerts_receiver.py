# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that takes the results of an alert node over ZeroMQ, and notes when each came.

It answers lines on standard input: `wait COUNT SECONDS` waits until so many results have come, or until none
has come for so long, writes number and arrival of each to the file that `--out` names, and begins anew. The
answer is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgpack
import numpy as np
import zmq


def main(argv: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--endpoint", required=True)
    options.add_argument("--topic", required=True)
    options.add_argument("--core", type=int, required=True)
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args(argv)
    os.sched_setaffinity(0, {given.core})
    socket = zmq.Context().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.subscribe(given.topic)
    socket.connect(given.endpoint)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        _, count, patience_s = line.split()
        came = _take(socket, int(count), float(patience_s))
        np.save(given.out, np.array(came, np.int64).reshape(-1, 2))
        print(json.dumps({"came": len(came)}), flush=True)
    return 0


def _take(socket: zmq.Socket[bytes], count: int, patience_s: float) -> list[tuple[int, int]]:
    came: list[tuple[int, int]] = []
    while len(came) < count and socket.poll(round(1000 * patience_s)):
        while len(came) < count:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            now_ns = time.time_ns()
            fields = msgpack.unpackb(frames[1])["fields"]
            came.append((fields["alert_id"], now_ns))
    return came


if __name__ == "__main__":
    sys.exit(main())
