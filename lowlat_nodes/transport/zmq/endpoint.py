# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Addresses of ZeroMQ sockets."""

from __future__ import annotations

import re
from pathlib import Path

import zmq

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.loopback import is_loopback
from lowlat_nodes.transport.zmq.ipc import user_folder

_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9*][A-Za-z0-9.*_-]*):(\d{1,5})\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_LONGEST_PATH = 107  # what sockaddr_un holds, less the end


def check_endpoint(endpoint: str) -> str:
    """Return the endpoint if it is one of TCP or of a Unix socket; `ipc://NAME` gets the user's folder.

    Raises:
        ConfigurationError: If it is not, or the folder is not to be trusted.
    """
    path = ipc_path(endpoint)
    if path is not None:
        if len(str(path).encode()) <= _LONGEST_PATH:
            return f"ipc://{path}"
    else:
        match = _TCP.match(endpoint)
        if match and int(match.group(2)) < 1 << 16:
            return endpoint
    raise ConfigurationError(
        f"expected an address like tcp://127.0.0.1:5555, ipc://policy or ipc:///run/user/1000/policy (an "
        f"absolute path of at most {_LONGEST_PATH} bytes), got {endpoint!r}"
    )


def ipc_path(endpoint: str) -> Path | None:
    """Return the path of a Unix socket, or None if the endpoint is none.

    Raises:
        ConfigurationError: If it is in the user's folder, and that is not to be trusted.
    """
    if not endpoint.startswith("ipc://"):
        return None
    place = endpoint.removeprefix("ipc://")
    if _NAME.match(place):
        return user_folder() / place
    return Path(place) if place.startswith("/") and "\0" not in place else None


def is_local(endpoint: str) -> bool:
    """Return whether nobody but this machine can reach the endpoint."""
    match = _TCP.match(endpoint)
    if match is None:
        return True
    return is_loopback(match.group(1).strip("[]"))


def allow_ipv6(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Speak IPv6 where the address is one; elsewhere it would change what a name stands for."""
    if endpoint.startswith("tcp://["):
        socket.setsockopt(zmq.IPV6, 1)
