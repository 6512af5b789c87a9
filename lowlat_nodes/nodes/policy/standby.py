# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Deadlines that are kept though a core stands still: a second thread, awake on another core.

A thread that sleeps on a core wakes when that core does. Without PREEMPT_RT a long system call of any
process can hold a core for milliseconds, and the host of a virtual machine takes cores away for ten. No
priority helps against either, and the kernel does not move the thread, because it does not know.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from lowlat_nodes.nodes.realtime import current_core, sleep_until


class Standby:
    """Serves each deadline once, from whichever of two threads is there first.

    One thread sleeps and calls `serve`; once `start` was called, a second one looks a while after each
    deadline whether that has happened, and serves the deadline if not. It keeps off the core of the first.

    Args:
        serve: Serves a deadline, and first of all sets `deadline_ns` to the next one; never called by both
            threads at a time.

    Attributes:
        deadline_ns: The deadline to be served next, CLOCK_MONOTONIC.
        taken_over: How many deadlines the second thread has served since the last `watch(True)`.
    """

    def __init__(self, serve: Callable[[int], None]) -> None:
        self.deadline_ns = 0
        self.taken_over = 0
        self._serve = serve
        self._core = -1  # of the first thread, where it sleeps
        self._turn = threading.Lock()
        self._watching = threading.Event()
        self._error: BaseException | None = None

    def start(self, *, after_ns: int) -> bool:
        """Start the second thread, with the priority and the cores of the calling one.

        Args:
            after_ns: How long after a deadline it looks.

        Returns:
            Whether there is one; with a single core it would be of no use.
        """
        cores = os.sched_getaffinity(0)
        if len(cores) < 2:
            return False
        threading.Thread(target=self._stand_by, args=[cores, after_ns], daemon=True).start()
        return True

    def watch(self, watching: bool) -> None:
        """Begin with the deadlines, or end; call it with `deadline_ns` set, from the first thread.

        After the end the second thread does nothing, and waits for nothing but the next beginning.

        Raises:
            BaseException: Whatever serving has raised in the second thread.
        """
        with self._turn:
            if watching:
                self.taken_over = 0
                self._watching.set()
            else:
                self._watching.clear()
            self._raise_error()

    def serve(self, deadline_ns: int) -> None:
        """Serve a deadline unless the second thread has.

        Raises:
            BaseException: Whatever serving raised, in either thread.
        """
        with self._turn:
            self._raise_error()
            if self.deadline_ns == deadline_ns:
                self._serve(deadline_ns)
        self._core = current_core()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _stand_by(self, cores: set[int], after_ns: int) -> None:
        avoided = -1
        while self._error is None:
            self._watching.wait()
            deadline_ns = self.deadline_ns
            sleep_until(deadline_ns + after_ns)
            if self.deadline_ns == deadline_ns:
                self._take_over(deadline_ns)
            elif self._core != avoided:
                avoided = self._core
                os.sched_setaffinity(0, cores - {avoided})

    def _take_over(self, deadline_ns: int) -> None:
        with self._turn:
            if self.deadline_ns != deadline_ns or not self._watching.is_set():
                return
            self.taken_over += 1
            try:
                self._serve(deadline_ns)
            except BaseException as error:  # the first thread raises it
                self._error = error
