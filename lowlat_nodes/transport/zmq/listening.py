# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The one way in which our sockets listen: checked, bounded, and with somebody at the gate."""

from __future__ import annotations

import contextlib
import errno

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.curve import ServerKeys, check_exposure
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6, check_endpoint, ipc_path
from lowlat_nodes.transport.zmq.gate import Gate
from lowlat_nodes.transport.zmq.ipc import claim

_OWNER_ONLY, _WITH_KEYS = 0o600, 0o666


def listen(
    socket: zmq.Socket[bytes],
    endpoint: str,
    *,
    keys: ServerKeys | None,
    counts: Counters,
    max_bytes: int,
    options: str = "",
    in_the_clear: bool = False,
) -> str:
    """Bind a socket, and return where it listens.

    The owner closes it with `stop_listening`, whether this raises or not.

    Args:
        socket: Of a context of its own; its other options are set.
        endpoint: `tcp://HOST:PORT` (port 0 takes a free one), `ipc:///PATH`, or `ipc://NAME` for a path in
            the user's own folder.
        keys: Keys of CURVE and the clients that may come in; None listens in the clear.
        counts: Where the `Gate` counts who did not get in.
        max_bytes: Largest frame; a larger one breaks the connection.
        options: Where the user gives keys, for the messages.
        in_the_clear: Listen to other machines without keys; for foreign protocols that have none, and only
            where the user has asked for it.

    Raises:
        ConfigurationError: If the endpoint is none or cannot be had, if somebody listens there, or if others
            could reach it without keys.
    """
    endpoint = check_endpoint(endpoint)
    if not in_the_clear:
        check_exposure(endpoint, keys, options=options)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    allow_ipv6(socket, endpoint)
    path = ipc_path(endpoint)
    with contextlib.ExitStack() as stack:
        if path is not None:
            stack.enter_context(claim(path, shared=keys is not None))
        gate = Gate(socket, keys, counts)
        gate.listens_at(endpoint)
        try:
            socket.bind(endpoint)
            if path is not None:
                path.chmod(_OWNER_ONLY if keys is None else _WITH_KEYS)
        except (zmq.ZMQError, OSError) as error:
            raise ConfigurationError(f"cannot listen at {endpoint!r}: {_reason(error, endpoint)}") from error
    endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    gate.listens_at(endpoint)
    return endpoint


def _reason(error: zmq.ZMQError | OSError, endpoint: str) -> str:
    """Return what went wrong, and how to find who has a port."""
    if error.errno != errno.EADDRINUSE or not endpoint.startswith("tcp://"):
        return str(error)
    port = endpoint.rpartition(":")[2]
    return (
        f"Address already in use; end the process that `ss -ltnp 'sport = :{port}'` names, or choose another "
        f"port"
    )


def stop_listening(socket: zmq.Socket[bytes]) -> None:
    """Close a socket and its context, once what it has to send is sent or its linger time is over."""
    socket.disable_monitor()
    socket.close()
    socket.context.term()
