# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a bag ahead of whoever plays it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from lowlat_nodes.transport.bag import Recorded


class ReadAhead:
    """Reads the bag in a thread of its own, so that unpacking a chunk makes no message late."""

    MESSAGES = 1000
    BYTES = 64 << 20

    def __init__(self, messages: Iterator[Recorded]) -> None:
        self._messages = messages
        self._ready: deque[Recorded] = deque()
        self._bytes = 0
        self._done = False
        self._error: Exception | None = None
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="read-ahead", daemon=True)

    def __enter__(self) -> Iterator[Recorded]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._done = True
            self._condition.notify_all()
        self._thread.join()

    def _taken(self) -> Iterator[Recorded]:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._ready or self._done)
                if not self._ready:
                    break
                message = self._ready.popleft()
                self._bytes -= len(message.data)
                self._condition.notify_all()
            yield message
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            for message in self._messages:
                with self._condition:
                    self._condition.wait_for(self._room)
                    if self._done:
                        return
                    self._ready.append(message)
                    self._bytes += len(message.data)
                    self._condition.notify_all()
        except Exception as error:  # it belongs to who reads
            self._error = error
        finally:
            with self._condition:
                self._done = True
                self._condition.notify_all()

    def _room(self) -> bool:
        full = len(self._ready) >= self.MESSAGES or (self._ready and self._bytes >= self.BYTES)
        return self._done or not full
