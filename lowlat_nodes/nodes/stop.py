# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A request to stop that a signal handler may make and that ends a wait at once."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Set once, by any thread or signal handler; `threading.Event.set` may lock up in the latter."""

    def __init__(self) -> None:
        self._set = False
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def set(self) -> None:
        """Ask to stop."""
        self._set = True
        os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        """Return whether a stop was asked for."""
        return self._set

    def wait(self, timeout_s: float) -> bool:
        """Wait for the request, or until the time is over; return whether it was made."""
        if not self._set:
            select.select([self._fd], [], [], max(timeout_s, 0.0))
        return self._set

    def fileno(self) -> int:
        """Return a descriptor that becomes readable with the request."""
        return self._fd

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self._fd)


@contextmanager
def stop_on_signals(*, ends: bool = False) -> Iterator[StopRequest]:
    """Let SIGINT and SIGTERM ask to stop, inside the `with` block; only the main thread may.

    More of them change nothing, because launchers repeat that of the terminal.

    Args:
        ends: Whether the process ends after the block. Signals are passed over from there on; the interpreter
            drops handlers before the process has ended.
    """
    stop = StopRequest()

    def request(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    former = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_IGN if ends else handler)
        stop.close()
