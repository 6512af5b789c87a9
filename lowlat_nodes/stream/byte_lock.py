# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Locks on single bytes of a file that belong to an open file description, never waited for.

Linux calls them open-file-description locks (fcntl(2), F_OFD_SETLK). The kernel drops them with the last
descriptor of the description, thus with the process, however it ends. Unlike POSIX record locks they exclude
two descriptions of one process as well, and closing some other descriptor of the file does not drop them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

_FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, process


def _request(kind: int, byte: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)


class ByteLock:
    """The lock on one byte.

    Args:
        byte: Its position; it need not exist in the file.
    """

    __slots__ = ("_exclusive", "_shared", "_unlock")

    def __init__(self, byte: int) -> None:
        # A call costs half a microsecond, packing its argument as much again.
        self._shared = _request(fcntl.F_RDLCK, byte)
        self._exclusive = _request(fcntl.F_WRLCK, byte)
        self._unlock = _request(fcntl.F_UNLCK, byte)

    def share(self, descriptor: int) -> bool:
        """Lock it beside others who share it; return False where one holds it exclusively."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, self._shared)
        except OSError as error:
            return _refused(error)
        return True

    def take(self, descriptor: int) -> bool:
        """Lock it exclusively, in a file open for writing; return False where anybody else holds it."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, self._exclusive)
        except OSError as error:
            return _refused(error)
        return True

    def release(self, descriptor: int) -> None:
        """Unlock it, whatever the lock was."""
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, self._unlock)

    def held(self, descriptor: int) -> bool:
        """Tell whether another description holds it exclusively."""
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, self._shared)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _refused(error: OSError) -> bool:
    """Return False if somebody else holds the lock.

    Raises:
        OSError: What else is wrong.
    """
    if error.errno not in {errno.EAGAIN, errno.EACCES}:
        raise error
    return False
