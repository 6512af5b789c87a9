# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder in which processes of a host meet, and in which nobody else can exchange what they left."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError

MEMORY = Path("/dev/shm")  # noqa: S108 - in it a folder is ours, or refused


def trusted_folder(folder: Path, subject: str, variable: str, *, make: bool = False) -> Path:
    """Return a folder that only we and those whom its owner trusts can write.

    Args:
        folder: Its path.
        subject: What it is for, the first word of messages.
        variable: The environment variable that names another one.
        make: Whether to make it, for us alone, where it is missing.

    Raises:
        ConfigurationError: If it is none, or is not to be trusted; with the remedy.
    """
    try:
        if make:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        status = folder.lstat()
        above = folder.parent.stat()
    except OSError as error:
        raise ConfigurationError(
            f"{subject}: cannot have the folder {folder}: {error.strerror}; set {variable} to one that you "
            f"may write"
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(f"{subject}: {folder}: expected a folder, no link and no file; remove it")
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"{subject}: {folder}: everybody may write this folder (mode {mode:04o}); run chmod o-w {folder}"
        )
    if status.st_uid not in (0, os.geteuid()) and not _of_administrator(above):
        raise ConfigurationError(
            f"{subject}: {folder}: expected this user (uid {os.geteuid()}) or root as its owner, it belongs "
            f"to uid {status.st_uid}; have it removed, or set {variable} to a folder of yours"
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"{subject}: {folder}: this user (uid {os.geteuid()}) may not write it (mode {mode:04o}, gid "
            f"{status.st_gid}); join that group (usermod -aG), or set {variable} to a folder of yours"
        )
    return folder


def _of_administrator(above: os.stat_result) -> bool:
    """Return whether only root could make the folder, and chose its owner."""
    return above.st_uid == 0 and not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
