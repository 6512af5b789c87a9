# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that a `ProcessClient` starts and that does what its first argument, and then each request, says.

Run with `parent` and the path of a file it is a process that starts another one and sleeps, to be killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

PREFIX = struct.Struct("<II")


class Peer:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(
        self, kind: str, number: int, values: dict[str, Any], arrays: Any = (), body: bytes = b""
    ) -> None:
        fields = {"kind": kind, "id": number, "values": values, "arrays": list(arrays)}
        header = json.dumps(fields).encode()
        self.write(PREFIX.pack(len(header), len(body)) + header + body)

    def write(self, data: bytes) -> None:
        self._connection.sendall(data)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        header, body = PREFIX.unpack(self._exactly(PREFIX.size))
        return json.loads(self._exactly(header)), self._exactly(body)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            if not part:
                sys.exit(0)
            data += part
        return data


def answer(peer: Peer, what: str, number: int, body: bytes) -> None:
    """Answer as the request says; without a word with the array that came."""
    arrays = [["x", "<f4", [len(body) // 4]]]
    if what == "fail":
        peer.send("error", number, {"message": "the camera shows\x1b[2J a cat"})
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        sys.exit(3)
    elif what == "hang":
        time.sleep(600.0)
    elif what == "other":
        peer.send("answer", number + 1, {})
    elif what == "text":
        peer.write(b"Traceback (most recent call last): no such luck")
    elif what == "huge":
        peer.write(PREFIX.pack(10, 1 << 31))
    elif what == "claim":
        peer.send("answer", number, {}, [["x", "<f4", [1_000_000_000]]], b"1234")
    elif what == "nan":
        peer.write(PREFIX.pack(3, 0) + b"NaN")
    elif what == "half":
        peer.write(PREFIX.pack(100, 0) + b"{")
        sys.exit(0)
    else:
        peer.send("answer", number, {"pid": os.getpid()}, arrays, body)
        if what == "twice":
            peer.send("answer", number, {"pid": 0}, arrays, body)


def main() -> None:
    mode = sys.argv[1]
    if mode == "parent":
        parent(sys.argv[2])
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    peer = Peer(socket.socket(fileno=int(sys.argv[-1])))
    if mode == "refuse":
        peer.send("refused", 0, {"message": "expected a cat"})
        sys.exit(2)
    if mode == "end":
        sys.exit(5)
    if mode == "sleep":
        time.sleep(600.0)
    if mode == "first":  # and then as in the file that the second argument names
        file = Path(sys.argv[2])
        mode = file.read_text()
        if mode == "refuse":
            peer.send("refused", 0, {"message": "expected a cat"})
            sys.exit(2)
    peer.send(
        "description", 0, {"mode": mode, "paths": [name for name in os.environ if name == "PYTHONPATH"]}
    )
    if mode == "deaf":
        time.sleep(600.0)
    while True:
        header, body = peer.receive()
        answer(peer, header["values"].get("do", ""), header["id"], body)


def parent(file: str) -> None:
    from lowlat_nodes.transport.policy.process_client import ProcessClient

    client = ProcessClient([sys.executable, __file__, "serve"], load_timeout_ns=60_000_000_000)
    client.describe()
    pid = client.request({}, deadline_ns=time.monotonic_ns() + 60_000_000_000)["pid"]
    Path(file).with_suffix(".new").write_text(str(pid))
    Path(file).with_suffix(".new").rename(file)
    time.sleep(600.0)


if __name__ == "__main__":
    main()
