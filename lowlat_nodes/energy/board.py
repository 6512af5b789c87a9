# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The board: a file in which the sampler of a host puts its newest figures, and anybody may read them."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

import msgpack

from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.plain import UnreadableFigures, from_plain, to_plain

MAX_BYTES = 4 << 20
"""Of the file."""

_NAME = "figures.msgpack"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_STALE_PERIODS = 10  # without new figures: a loaded machine is late, and a dead sampler is not


class Board:
    """The newest figures of a host, in its energy folder.

    Args:
        folder: As `energy.folder.energy_folder` gives it.

    Attributes:
        why: Why the last `read` gave nothing; empty where it gave something.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self.why = ""

    def publish(self, figures: Figures) -> None:
        """Put figures in the place of the former ones; whoever reads sees these or those.

        Raises:
            OSError: If the folder is full or gone.
        """
        data = msgpack.packb(to_plain(figures))
        beside = f"{self._path}.{os.getpid()}"
        try:
            descriptor = os.open(beside, _NEW, 0o640)
        except FileExistsError:  # of an earlier process of this number
            os.unlink(beside)  # noqa: PTH108 - paths are slow, each second
            descriptor = os.open(beside, _NEW, 0o640)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o640)  # whatever the umask took from the group
                file.write(data)
            os.rename(beside, self._path)  # noqa: PTH104
        except OSError:
            os.unlink(beside)  # noqa: PTH108
            raise

    def withdraw(self) -> None:
        """Remove the figures: nobody samples any more."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def read(self) -> Figures | None:
        """Return the newest figures; None without a sampler, for old figures and for unreadable ones."""
        try:
            figures = from_plain(_unpacked(self._path))
        except FileNotFoundError:
            self.why = "nobody samples this host; start `lowlat energyd` or energy_node"
            return None
        except (OSError, UnreadableFigures) as error:
            self.why = f"{self._path}: {error}"
            return None
        age_s = (time.monotonic_ns() - figures.steady_ns) * 1e-9
        if not 0.0 <= age_s <= _STALE_PERIODS * max(figures.period_s, 1.0):
            self.why = f"the figures of the sampler are {age_s:.0f} s old; it hangs, or was killed"
            return None
        self.why = ""
        return figures


def _unpacked(path: Path) -> object:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableFigures("expected a file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UnreadableFigures(f"expected at most {MAX_BYTES} bytes")
    try:
        return msgpack.unpackb(data, strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise UnreadableFigures(f"expected msgpack: {error}") from error
