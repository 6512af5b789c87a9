# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that only their owner may change, and secrets that only he may read: the checks of a key file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError

MAX_BYTES = 64 << 10

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_owned(path: Path) -> tuple[bytes, int]:
    """Return the contents of a file that nobody else can exchange, and its mode for `check_mode`.

    Links are followed, as secrets of containers are links; the file at their end and its folders count.

    Raises:
        ConfigurationError: If it cannot be read, is no file of up to 64 KiB, or others could exchange it.
    """
    try:
        check_folders(path.resolve(strict=True).parent)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)  # of what is read, whatever the path stands for by now
            check_owner(path, status)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigurationError(f"{path}: expected a file")
            mode = stat.S_IMODE(status.st_mode)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{path}: expected at most {MAX_BYTES} bytes")
    return content, mode


def create_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file that has its mode from the beginning.

    Raises:
        FileExistsError: If there is one; it is left as it is.
        OSError: If it cannot be written; then there is none.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask took away
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise


def make_private_folder(path: Path) -> None:
    """Create a folder, with those above it, that only we can enter; one that is there stays as it is.

    Raises:
        ConfigurationError: If it cannot be created.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot create this folder: {error.strerror}") from error


def check_folders(folder: Path) -> None:
    """Refuse a folder in which others could exchange a file, or that they could exchange itself.

    Folders that everybody may write but where nobody may rename what is another's, as /tmp, do no harm.

    Raises:
        ConfigurationError: If they could.
        OSError: If it leads nowhere.
    """
    real = folder.resolve(strict=True)
    check_owner(real, real.stat())
    for part in (real, *real.parents):
        mode = stat.S_IMODE(part.stat().st_mode)
        if mode & _OTHERS_WRITE and not mode & stat.S_ISVTX:
            raise ConfigurationError(
                f"{folder}: others may write {part} (mode {mode:04o}), and put something of theirs there; "
                f"run chmod go-w {part}"
            )


def check_owner(path: Path, status: os.stat_result) -> None:
    """Refuse what belongs to anybody but us and root.

    Raises:
        ConfigurationError: If it does.
    """
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(
            f"{path}: expected this user (uid {os.geteuid()}) or root as its owner, it belongs to uid "
            f"{status.st_uid}; run chown {os.geteuid()} {path} if you trust what it holds"
        )


def check_mode(path: Path, mode: int, *, secret: bool) -> None:
    """Refuse a file that others may write, or read if it holds a secret.

    Raises:
        ConfigurationError: If they may.
    """
    if secret and mode & _OTHERS:
        raise ConfigurationError(
            f"{path}: expected a secret key that only its owner can read, its mode is {mode:04o}; run chmod "
            f"600 {path}, or make new keys if others have been there"
        )
    if mode & _OTHERS_WRITE:
        raise ConfigurationError(
            f"{path}: others may write this file (mode {mode:04o}); run chmod go-w {path}"
        )
