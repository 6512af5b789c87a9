# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Addresses of ZeroMQ sockets."""

from __future__ import annotations

import ipaddress
import re

import zmq

from lowlat_nodes.stream.errors import ConfigurationError

_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9*][A-Za-z0-9.*_-]*):(\d{1,5})\Z")
_LONGEST_PATH = 107  # what sockaddr_un holds, less the end


def check_endpoint(endpoint: str) -> str:
    """Return the endpoint if it is one of TCP or of a Unix socket.

    Raises:
        ConfigurationError: If it is not.
    """
    if endpoint.startswith("ipc://"):
        path = endpoint.removeprefix("ipc://")
        if path.startswith("/") and len(path.encode()) <= _LONGEST_PATH:
            return endpoint
    else:
        match = _TCP.match(endpoint)
        if match and int(match.group(2)) < 1 << 16:
            return endpoint
    raise ConfigurationError(
        f"expected an address like tcp://127.0.0.1:5555 or ipc:///run/user/1000/policy (an absolute path of "
        f"at most {_LONGEST_PATH} bytes), got {endpoint!r}"
    )


def is_local(endpoint: str) -> bool:
    """Return whether nobody but this machine can reach the endpoint."""
    match = _TCP.match(endpoint)
    if match is None:
        return True
    host = match.group(1).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allow_ipv6(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Speak IPv6 where the address is one; elsewhere it would change what a name stands for."""
    if endpoint.startswith("tcp://["):
        socket.setsockopt(zmq.IPV6, 1)
