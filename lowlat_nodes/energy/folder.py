# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where nodes and the sampler of a host meet: the folder of their files, and who may sample.

The folder is $LOWLAT_ENERGY_DIR; or /run/lowlat_energy where an administrator made it, for nodes of several
users in one group (mode 2770); or one of this user alone in shared memory.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.trusted_folder import MEMORY, trusted_folder

VARIABLE = "LOWLAT_ENERGY_DIR"
SHARED = Path("/run/lowlat_energy")

_LOCK_NAME = "sampler.lock"
_MAX_HOLDER = 128
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2): type, whence, start, length, process


def energy_folder() -> Path:
    """Return the folder of this user's nodes, which is made where it is missing and may be.

    Raises:
        ConfigurationError: If it cannot be had, or somebody else could exchange what is in it.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return checked(Path(given), make=True)
    if SHARED.exists():
        return checked(SHARED)
    return checked(MEMORY / f"lowlat_energy_{os.geteuid()}", make=True)


def checked(folder: Path, *, make: bool = False) -> Path:
    """Return a folder that only we and those whom its owner trusts can write.

    Args:
        folder: Its path.
        make: Whether to make it, for us alone, where it is missing.

    Raises:
        ConfigurationError: If it is none, or is not to be trusted; with the remedy.
    """
    return trusted_folder(folder, "energy", VARIABLE, make=make)


class SamplerRunning(ConfigurationError):
    """Another process samples this host already.

    Args:
        folder: Where.
        pid: Its process id in its own namespace; 0 where it did not say.
        name: What it is.
    """

    def __init__(self, folder: Path, pid: int, name: str) -> None:
        who = f"process {pid} ({name})" if pid else "another process"
        super().__init__(
            f"energy: {who} samples for {folder} already, and one is enough for a host; end it first, or "
            f"set {VARIABLE} to another folder"
        )
        self.pid = pid
        self.name = name


class SamplerLock:
    """The right to sample for the nodes of a folder; the kernel gives it back with the process.

    Args:
        folder: As `energy_folder` gives it.
        name: Who we are, for others who ask.

    Raises:
        SamplerRunning: If another process has it.
        ConfigurationError: If there can be no lock.
    """

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / _LOCK_NAME
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
            if os.fstat(self._descriptor).st_uid == os.geteuid():
                os.fchmod(self._descriptor, 0o660)  # whatever the umask took from the group
            if mine := lock(self._descriptor):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, f"{os.getpid()} {name}"[:_MAX_HOLDER].encode(), 0)
            holder = _holder(self._descriptor)
        except OSError as error:
            self.close()
            raise ConfigurationError(f"energy: cannot lock {path}: {error.strerror}; remove it") from error
        if not mine:
            self.close()
            raise SamplerRunning(folder, *holder)

    def close(self) -> None:
        """Give it back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock(descriptor: int) -> bool:
    """Lock a whole file, as long as this description of it is open; return False where another has it."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except BlockingIOError:
        return False
    return True


def locked(descriptor: int) -> bool:
    """Return whether another description of a file has the lock, without taking it."""
    asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _holder(descriptor: int) -> tuple[int, str]:
    pid, _, name = os.pread(descriptor, _MAX_HOLDER, 0).decode("utf-8", "replace").partition(" ")
    if not (pid.isascii() and pid.isdigit() and len(pid) <= 10):
        return 0, ""
    return int(pid), "".join(letter if letter.isprintable() else "?" for letter in name)
