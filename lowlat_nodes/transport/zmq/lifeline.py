# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An idle connection to a server, whose heartbeats tell whether the server can be reached."""

from __future__ import annotations

import zmq
from zmq.utils.monitor import parse_monitor_message

from lowlat_nodes.transport.zmq.curve import ClientKeys, secure_client
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6
from lowlat_nodes.transport.zmq.options import keep_alive

_RECONNECT_MS = 200


class Lifeline:
    """A connection over which nothing goes but ZMTP heartbeats.

    Heartbeats on a connection with messages wait behind those: where a peer takes none for a while, or a
    large one takes its time on a slow link, they come too late and break a connection that is sound. Here
    nothing is in their way. A host that is cut off or a process that was stopped still is found out as fast.

    Args:
        context: Of the socket.
        endpoint: Of a ROUTER or REP socket that another connection of ours stands to.
        keys: Keys of CURVE, None for a connection in the clear.

    Attributes:
        monitor: Readable when there is something to follow.
        stands: Whether the server answers.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, keys: ClientKeys | None
    ) -> None:
        self.stands = False
        self._socket = socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        keep_alive(socket)
        allow_ipv6(socket, endpoint)
        if keys is not None:
            secure_client(socket, keys)
        self.monitor = socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED)
        socket.connect(endpoint)

    def follow(self) -> bool:
        """Take note of what happened; return whether the server was lost."""
        lost = False
        while int(self.monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event = parse_monitor_message(self.monitor.recv_multipart())["event"]
            lost = self.stands and event == zmq.Event.DISCONNECTED
            self.stands = event == zmq.Event.HANDSHAKE_SUCCEEDED
        return lost

    def close(self) -> None:
        """Let go of the connection."""
        self.follow()  # a monitor that nobody reads holds up libzmq, and with it what comes next
        self._socket.disable_monitor()
        self.monitor.close(linger=0)
        self._socket.close(linger=0)
