# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One calibration at a time: two that run together time each other, and each would keep that."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from typing import IO

from lowlat_nodes.resources import cache_folder

_PATIENCE_S = 60.0
_POLL_S = 0.05


@contextlib.contextmanager
def turn(stop: Callable[[], bool], patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Wait for the calibrations of this user's other processes, and keep later ones waiting.

    Whoever has waited for `patience_s`, or cannot lock a file in the cache folder, goes on all the same.

    Args:
        stop: Whether to give up waiting.
        patience_s: The longest wait, s.
    """
    end_s = time.monotonic() + patience_s
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path = cache_folder() / "calibration.lock"
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a", encoding="utf-8"))
            while not _locked(file) and time.monotonic() < end_s and not stop():
                time.sleep(_POLL_S)
        yield


def _locked(file: IO[str]) -> bool:
    """Lock a file until it is closed, or its process ends, and return whether that was possible."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
