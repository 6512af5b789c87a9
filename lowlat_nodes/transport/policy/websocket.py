# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The library for WebSockets, in a version that has what we need, and sends that end."""

from __future__ import annotations

import socket
import struct

from lowlat_nodes.stream.errors import MissingExtra

_OLDEST = 15
"""The first version whose threads keep a connection alive; Debian 12 and Ubuntu 24.04 package older ones."""


def require_websockets() -> None:
    """Return if `websockets` is there.

    Raises:
        MissingExtra: If it is not installed or too old.
    """
    try:
        from websockets.version import version
    except ModuleNotFoundError as error:
        raise MissingExtra("websockets", "remote") from error
    if int(version.partition(".")[0]) < _OLDEST:
        raise MissingExtra(f"websockets>={_OLDEST}", "remote")


def bound_sends(connection: socket.socket, timeout_ns: int) -> None:
    """Let a blocking send fail if the other end takes no byte for that long."""
    microseconds = max(timeout_ns // 1000, 1)  # 0 would be for ever
    value = struct.pack("ll", *divmod(microseconds, 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
