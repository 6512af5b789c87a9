# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Options and habits that all our ZeroMQ sockets share."""

from __future__ import annotations

import zmq

_HEARTBEAT_MS = 200
_DEAD_AFTER_MS = 600
"""A peer that was silent for so long is gone: stopped, cut off, or without power."""

WAITING_MESSAGES = 16
"""How many messages of a stream wait at either end of a connection, beside what is on its way."""

MAX_SUBSCRIPTION = 1 << 10
"""Bytes of a frame to a publisher, which takes nothing but subscriptions; a handshake must fit, too."""
HANDSHAKE_MS = 2 * _DEAD_AFTER_MS
"""Who has not finished its handshake by then is cut off."""

_UNCONFIRMED_MS = 5_000
_RECONNECT_MS = 20
_RECONNECT_MAX_MS = 200
_WAITING_SUBSCRIPTIONS = 64
_SUBSCRIPTION_BYTES = 1 << 14
_WAIT, _LOOK = 0, int(zmq.NOBLOCK)


def keep_alive(socket: zmq.Socket[bytes]) -> None:
    """Exchange ZMTP heartbeats, for connections that carry nothing else: they check the link.

    They do not check the process, whose I/O thread answers them. Connections with messages take `probe`.
    """
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _DEAD_AFTER_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, _DEAD_AFTER_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)


def probe(socket: zmq.Socket[bytes]) -> None:
    """Have the kernel look whether a silent peer is there: where messages go, whose receiver may be slow.

    ZMTP heartbeats wait behind the messages that a slow receiver does not take, or that take long on a slow
    link. Those of the sender time out and break the connection, with all that is in it; those of the receiver
    may end its process, by an assertion of libzmq 4.3.5.
    """
    for option, value in (
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.CONNECT_TIMEOUT, 1000),  # the kernel's pauses between attempts grow with the time of a cut
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, 5),
        (zmq.TCP_KEEPALIVE_INTVL, 1),
        (zmq.TCP_KEEPALIVE_CNT, 5),
    ):
        socket.setsockopt(option, value)


def come_back(socket: zmq.Socket[bytes]) -> None:
    """Connect again soon where the other end went, and try on: a process that restarts takes a moment."""
    socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)


def bound_subscriptions(socket: zmq.Socket[bytes]) -> None:
    """Let few subscriptions of a connection wait for an XPUB socket, where they cost little yet."""
    socket.setsockopt(zmq.RCVHWM, _WAITING_SUBSCRIPTIONS)
    socket.setsockopt(zmq.RCVBUF, _SUBSCRIPTION_BYTES)


def give_up(socket: zmq.Socket[bytes]) -> None:
    """Have the kernel break a connection whose peer confirms nothing: where peers come and go.

    Otherwise it tries for a quarter of an hour to bring a last message to who was cut off.
    """
    socket.setsockopt(zmq.TCP_MAXRT, _UNCONFIRMED_MS)


def receive(socket: zmq.Socket[bytes], max_frames: int, *, wait: bool = False) -> list[zmq.Frame] | None:
    """Return a message that waits, None if none does; frames beyond the limit are thrown away.

    A message that is cut so has `max_frames` + 1 frames, and is thereby known.

    Args:
        socket: Gives the message.
        max_frames: Most frames that are of interest.
        wait: Whether to wait for a message, as long as ZMQ_RCVTIMEO has it.
    """
    try:
        frame = socket.recv(_WAIT if wait else _LOOK, copy=False)
    except zmq.Again:
        return None
    frames = [frame]
    while frame.more:
        frame = socket.recv(copy=False)  # the parts of a message come together
        if len(frames) <= max_frames:
            frames.append(frame)
    return frames
