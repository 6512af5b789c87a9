# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Small messages between the processes of one node, over a pair of Unix sockets.

The kernel keeps message borders, copies once, bounds what waits and says at once when the other side is
gone, so nothing here can tear, grow or hang.
"""

from __future__ import annotations

import array
import os
import select
import socket

MAX_MESSAGE = 1 << 17
_ONE_DESCRIPTOR = socket.CMSG_LEN(array.array("i").itemsize)  # the padding of CMSG_SPACE has room for another


class ChannelClosedError(ConnectionError):
    """The process at the other end is gone."""


class Channel:
    """One end of a bidirectional channel of datagrams up to 128 kB; used by one thread."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)
        self.dropped = 0

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        """Return two connected ends."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (one, other):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_MESSAGE)
        return Channel(one), Channel(other)

    @classmethod
    def from_fd(cls, fd: int) -> Channel:
        """Take over an end that was inherited or received as a descriptor."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """Return the descriptor, for polling and inheritance."""
        return self._socket.fileno()

    def send(self, data: bytes, *, descriptor: int | None = None) -> bool:
        """Send a message without waiting.

        Args:
            data: At most `MAX_MESSAGE` bytes, at least one.
            descriptor: An open file that the other process gets a descriptor of its own for.

        Returns:
            Whether it was sent. A full channel drops the message and counts it in `dropped`.

        Raises:
            ChannelClosedError: If the other side is gone.
            ValueError: If the message is empty or too large.
        """
        if not 0 < len(data) <= MAX_MESSAGE:
            raise ValueError(f"expected a message of 1 to {MAX_MESSAGE} bytes, got {len(data)}")
        try:
            if descriptor is None:
                self._socket.send(data)
            else:
                socket.send_fds(self._socket, [data], [descriptor])
        except BlockingIOError:
            self.dropped += 1
            return False
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosedError("the other end of the channel was closed") from error
        return True

    def receive(self) -> bytes | None:
        """Return the next message, None if none waits; descriptors that came along are closed.

        Raises:
            ChannelClosedError: If the other side is gone and everything it sent was read.
        """
        data, descriptor = self.receive_with_descriptor()
        if descriptor is not None:
            os.close(descriptor)
        return data

    def receive_with_descriptor(self) -> tuple[bytes | None, int | None]:
        """Return the next message and the descriptor that came with it, None for what did not come.

        Raises:
            ChannelClosedError: If the other side is gone and everything it sent was read.
        """
        try:
            data, ancillary, _, _ = self._socket.recvmsg(
                MAX_MESSAGE, _ONE_DESCRIPTOR, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None, None
        except ConnectionResetError as error:
            raise ChannelClosedError("the other end of the channel was closed") from error
        if not data:
            raise ChannelClosedError("the other end of the channel was closed")
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        return data, descriptors[0] if descriptors else None

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until a message or the end of the channel can be received; return whether so."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else max(0, round(timeout_s * 1000))))

    def close(self) -> None:
        """Close this end; the other side notices."""
        self._socket.close()
