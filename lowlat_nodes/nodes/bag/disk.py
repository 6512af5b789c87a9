# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The disk that recordings go to: it may be slow, and what waits for it is bounded."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lowlat_nodes.transport.bag import BagError, BagWriter, DiskError, Recorded, Topic

if TYPE_CHECKING:
    from typing_extensions import Self

CACHE_BYTES = 256 << 20

_FLUSH_S = 1.0


@dataclass(slots=True)
class TopicCount:
    """What became of the messages of one topic.

    Attributes:
        type: Type of its messages.
        messages: Handed to the writer.
        dropped: Received, but the disk was so slow that there was no room for them to wait.
        lost: Sent, but never received here, as the numbers of its only publisher tell; nothing tells where
            there are several.
    """

    type: str
    messages: int = 0
    dropped: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Bounds:
    """Where a recording ends by itself; looked at once a second.

    Attributes:
        free_bytes: At less free space on the disk; 0 fills it.
        bag_bytes: At so large a bag; 0 for any size.
    """

    free_bytes: int = 0
    bag_bytes: int = 0

    def check(self, bag: Path, size: int = 0) -> None:
        """Check that a bag may be begun, or go on.

        Args:
            bag: Where it is, or is to be.
            size: How large it is, bytes.

        Raises:
            DiskError: If it may not; the message says what to do.
        """
        free = free_bytes(bag)
        if free < self.free_bytes:
            raise DiskError(
                f"{bag}: expected at least {_mb(self.free_bytes)} free on its disk, got {_mb(free)}; make "
                "room or record elsewhere"
            )
        if self.bag_bytes and size >= self.bag_bytes:
            raise DiskError(f"{bag}: has the {_mb(self.bag_bytes)} that it may have")


NO_BOUNDS = Bounds()


def free_bytes(path: Path) -> int:
    """Return how much room there is for us on the disk of a path, which need not exist yet.

    Raises:
        DiskError: If the disk does not say.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return shutil.disk_usage(path).free
    except OSError as error:
        raise DiskError(f"{path}: cannot be looked at: {error.strerror or error}") from error


def _mb(size: int) -> str:
    return f"{size / 1e6:.6g} MB"


class Disk:
    """Writes a bag in a thread of its own, at least once a second, so that a kill costs little.

    Args:
        writer: Takes the messages; the caller closes it.
        capacity_bytes: How many bytes may wait.
        bounds: Where it ends by itself.

    Attributes:
        error: Why it writes no more, None while it does.
        written: How many messages it wrote.
        written_bytes: How many bytes these have.
    """

    def __init__(
        self, writer: BagWriter, capacity_bytes: int = CACHE_BYTES, bounds: Bounds = NO_BOUNDS
    ) -> None:
        self.error: BagError | None = None
        self.written = 0
        self.written_bytes = 0
        self._writer = writer
        self._capacity_bytes = capacity_bytes
        self._bounds = bounds
        self._waiting: deque[Recorded | Topic] = deque()
        self._bytes = 0
        self._finished = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what waits, then stop.

        Raises:
            BagError: If the disk took no more; what it took is in the bag.
        """
        with self._condition:
            self._finished = True
            self._condition.notify()
        self._thread.join()
        if self.error is not None and error is None:
            raise self.error

    def put(self, item: Recorded | Topic) -> bool:
        """Leave a message or a new topic to be written, from any thread; return False if there is no room."""
        size = len(item.data) if isinstance(item, Recorded) else 0
        with self._condition:
            if self.error is not None or (self._bytes and self._bytes + size > self._capacity_bytes):
                return False
            self._waiting.append(item)
            self._bytes += size
            self._condition.notify()
        return True

    def _run(self) -> None:
        flush = time.monotonic() + _FLUSH_S
        try:
            while (items := self._next(flush - time.monotonic())) is not None:
                for item in items:
                    self._write(item)
                if time.monotonic() >= flush:
                    self._writer.flush()
                    self._bounds.check(self._writer.path, self._writer.size)
                    flush = time.monotonic() + _FLUSH_S
        except BagError as error:
            self.error = error

    def _next(self, patience_s: float) -> list[Recorded | Topic] | None:
        """Return what waits, None at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._finished, max(patience_s, 0.0))
            if self._finished and not self._waiting:
                return None
            items = list(self._waiting)
            self._waiting.clear()
            return items

    def _write(self, item: Recorded | Topic) -> None:
        if isinstance(item, Topic):
            self._writer.declare(item)
            return
        self._writer.write(*item)
        self.written += 1
        self.written_bytes += len(item.data)
        with self._condition:
            self._bytes -= len(item.data)
