# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How our SUB sockets connect to a publisher."""

from __future__ import annotations

import zmq

from lowlat_nodes.transport.zmq.curve import ClientKeys, secure_client
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6
from lowlat_nodes.transport.zmq.options import come_back, probe

TURN_MS = 100
"""How long a socket waits for a message: how late a broken link, or the wish to reconnect, is noticed."""


def join(
    socket: zmq.Socket[bytes], endpoint: str, keys: ClientKeys | None, *, waiting: int, max_bytes: int
) -> None:
    """Connect a socket to a publisher, which need not be there yet and may come back.

    Args:
        socket: Has its subscriptions.
        endpoint: Of the publisher.
        keys: Keys of CURVE; None for a connection in the clear.
        waiting: How many messages wait in the socket.
        max_bytes: Largest frame; a larger one breaks the connection.

    Raises:
        zmq.ZMQError: If the endpoint has no address.
    """
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, TURN_MS)
    socket.setsockopt(zmq.RCVHWM, waiting)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    come_back(socket)
    probe(socket)
    allow_ipv6(socket, endpoint)
    if keys is not None:
        secure_client(socket, keys)
    socket.connect(endpoint)
