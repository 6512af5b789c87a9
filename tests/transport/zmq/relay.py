# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A network for tests: a port that passes on what it gets to another one, slowly, and until it is cut."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

_CHUNK = 1 << 14
_RESET = struct.pack("ii", 1, 0)  # of SO_LINGER: closing sends a reset, and what was on its way is lost


class Relay:
    """Connections to a server; each of them, in each direction, has its own speed.

    Args:
        address: Of the server, `tcp://HOST:PORT`.
        bytes_per_s: 0 for as fast as it goes.

    Attributes:
        address: Where to connect instead.
        cuts: How many connections were cut.
    """

    def __init__(self, address: str, bytes_per_s: float) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._server = (host, int(port))
        self._bytes_per_s = bytes_per_s
        self.cuts = 0
        self._flows = threading.Event()
        self._flows.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def cut(self) -> None:
        """Reset all connections, in the middle of whatever they carry."""
        while self._pairs:
            self.cuts += 1
            for end in self._pairs.pop():
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RD)

    def freeze(self) -> None:
        """Pass on nothing until `thaw`, as a network whose cable was pulled; what comes meanwhile waits."""
        self._flows.clear()

    def thaw(self) -> None:
        """Pass on what waits, and what comes."""
        self._flows.set()

    def close(self) -> None:
        """End everything."""
        self.thaw()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def _start(self, run: object, *arguments: object) -> None:
        self._threads.append(threading.Thread(target=run, args=arguments))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._server)
                except OSError:
                    near.close()
                    continue
                if self._bytes_per_s:
                    for end in (near, far):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK)
                self._pairs.append((near, far))
                both = threading.Barrier(2)
                self._start(self._carry, near, far, both)
                self._start(self._carry, far, near, both)

    def _carry(self, source: socket.socket, target: socket.socket, both: threading.Barrier) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._flows.wait()
                target.sendall(data)
                if self._bytes_per_s:
                    time.sleep(len(data) / self._bytes_per_s)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)
        both.wait()
        source.close()


@contextlib.contextmanager
def relaying(address: str, bytes_per_s: float = 0.0) -> Iterator[Relay]:
    """Yield a `Relay`, and close it."""
    with contextlib.closing(Relay(address, bytes_per_s)) as relay:
        yield relay
