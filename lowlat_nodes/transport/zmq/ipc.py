# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Unix sockets: the folder that keeps other users out, and whether somebody listens there already.

The mode of a socket file comes too late, after it was created; libzmq removes whatever file is at the path.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.private_files import check_folders, check_owner

_OTHERS_ENTER = stat.S_IXGRP | stat.S_IXOTH
_TEMPORARY = Path("/tmp")  # noqa: S108 - in it the folder is ours, or refused
_UCRED = struct.Struct("3i")


def user_folder() -> Path:
    """Return the folder of this user's sockets, which is created if it is missing.

    It is $XDG_RUNTIME_DIR/lowlat, or lowlat-UID among the temporary files where there is none.

    Raises:
        ConfigurationError: If somebody else has it, or could enter.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "lowlat" if runtime else _TEMPORARY / f"lowlat-{os.geteuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    except OSError as error:  # after `su`, for example, the variable still names the folder of another user
        raise ConfigurationError(
            f"{folder}: cannot have this folder for sockets: {error.strerror}; set XDG_RUNTIME_DIR to a "
            f"folder of yours"
        ) from error
    if folder.is_symlink():
        raise ConfigurationError(f"{folder}: expected a folder, it is a link; remove it")
    status = folder.lstat()
    if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(
            f"{folder}: expected a folder of this user, it belongs to uid {status.st_uid}; have it removed, "
            f"or set XDG_RUNTIME_DIR to a folder of yours"
        )
    if status.st_mode & stat.S_IRWXO or status.st_mode & stat.S_IRWXG:
        raise ConfigurationError(
            f"{folder}: others may enter this folder (mode {stat.S_IMODE(status.st_mode):04o}); run "
            f"chmod 700 {folder}"
        )
    return folder


@contextlib.contextmanager
def claim(path: Path, *, shared: bool) -> Iterator[None]:
    """Hold the folder of a socket while it is bound, so that of two servers one gets the path.

    A folder that is missing is created, and what a dead server left there is removed.

    Args:
        path: Of the socket file, absolute.
        shared: Whether other users may enter the folder; they need keys then.

    Raises:
        ConfigurationError: If others may enter, a process listens there, or another file is there.
    """
    folder = path.parent
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        check_folders(folder)
        if not shared:
            _check_closed(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(f"ipc://{path}: cannot have its folder: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _clear(path)
        yield
    finally:
        os.close(descriptor)


def peer_of(connection: socket.socket) -> str:
    """Return the process at the other end of a Unix socket, in words."""
    process, user, _group = _UCRED.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    )
    return f"process {process} of uid {user}"


def _check_closed(folder: Path) -> None:
    """Refuse a folder that others can enter, unless one above it keeps them out."""
    real = folder.resolve(strict=True)
    for part in (real, *real.parents):
        status = part.stat()
        check_owner(part, status)
        if not status.st_mode & _OTHERS_ENTER:
            return
    raise ConfigurationError(
        f"ipc://{folder}/...: other users of this machine may enter {folder} (mode "
        f"{stat.S_IMODE(folder.stat().st_mode):04o}); run chmod 700 {folder}, take "
        f"ipc://NAME (a folder of yours), or give the server a key: lowlat keys new NAME"
    )


def _clear(path: Path) -> None:
    """Remove the socket file of a server that is gone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigurationError(f"ipc://{path}: cannot listen at a path where there is another file")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except FileNotFoundError:
            pass
        except BlockingIOError:
            raise ConfigurationError(f"cannot listen at 'ipc://{path}': a process listens there") from None
        else:
            raise ConfigurationError(f"cannot listen at 'ipc://{path}': {peer_of(probe)} listens there")
