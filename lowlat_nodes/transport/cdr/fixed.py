# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Readers and writers for messages whose layout does not change: what a 500 Hz loop can afford."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from lowlat_nodes.stream.payload import NO_FLOATS, Floats, Joints
from lowlat_nodes.transport.cdr.codec import Decoded
from lowlat_nodes.transport.cdr.messages import decode
from lowlat_nodes.transport.cdr.wire import HEADER, START, Buffer, CdrError, Reader, Writer, pack_time

_STAMP = struct.Struct("<iI")
_STAMP_END = START + _STAMP.size
_S = 1_000_000_000
_F8 = np.dtype("<f8")


class JointStateReader:
    """Reads the JointState messages of one publisher, several times faster than `decode`.

    A publisher sends the same frame, names and counts each time. Where the bytes that say so equal those of
    the message before, the values are taken from where they were then, and `names` is the same tuple;
    otherwise the message is read in full.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._frame_id = ""
        self._size = -1
        self._same: list[tuple[int, int, bytes]] = []
        self._values: list[tuple[int, int]] = []

    def read(self, data: Buffer) -> Decoded:
        """Read one message.

        Args:
            data: A serialised sensor_msgs/msg/JointState.

        Raises:
            CdrError: As `decode`.
        """
        if len(data) == self._size:
            for start, end, expected in self._same:
                if data[start:end] != expected:
                    break
            else:
                seconds, nanoseconds = _STAMP.unpack_from(data, START)
                if nanoseconds < _S:
                    arrays = [
                        np.frombuffer(data, _F8, count, start).copy() if count else NO_FLOATS
                        for start, count in self._values
                    ]
                    return Decoded(seconds * _S + nanoseconds, self._frame_id, Joints(self._names, *arrays))
        decoded = decode("sensor_msgs/msg/JointState", data)
        self._learn(data, decoded)
        return decoded

    def _learn(self, data: Buffer, decoded: Decoded) -> None:
        """Note where a message that was read without error keeps what."""
        self._size = -1
        if data[:START] != HEADER:
            return
        self._frame_id, self._names = decoded.frame_id, decoded.payload.names
        reader = Reader(data)
        reader.time_ns("stamp")
        reader.string("frame_id")
        reader.strings("name")
        same = [(0, START), (_STAMP_END, reader.offset)]
        self._values = []
        for what in ("position", "velocity", "effort"):
            start = reader.offset
            count = reader.count(what, 8)
            same.append((start, reader.offset))
            if count:
                reader.align(8)
            self._values.append((reader.take(8 * count, what), count))
        self._same = [(start, end, bytes(data[start:end])) for start, end in same]
        self._size = len(data)


class Float64MultiArrayWriter:
    """Writes std_msgs/Float64MultiArray messages of one size without a layout, as ros2_controllers take them.

    Args:
        size: The number of values, at least 1.
    """

    def __init__(self, size: int) -> None:
        writer = Writer()
        writer.u4(0)
        writer.u4(0)
        writer.floats(np.zeros(size))
        self._buffer = bytearray(writer.finish())
        self._values = np.frombuffer(self._buffer, _F8, size, len(self._buffer) - 8 * size)

    def write(self, values: Floats) -> bytes:
        """Return the message with these values.

        Raises:
            CdrError: If there are not as many as configured.
        """
        _fill(self._values, values, "data")
        return bytes(self._buffer)


class TrajectoryPointWriter:
    """Writes trajectory_msgs/JointTrajectory messages of one point of positions: a command per tick.

    Args:
        names: The joints, in the order of the values.
        frame_id: Of the header.
    """

    def __init__(self, names: Sequence[str], *, frame_id: str = "") -> None:
        writer = Writer()
        writer.time_ns(0)
        writer.string(frame_id)
        writer.strings(names)
        writer.u4(1)
        writer.floats(np.zeros(len(names)))
        start = len(writer) - 8 * len(names)
        for _ in ("velocities", "accelerations", "effort"):
            writer.floats(NO_FLOATS)
        writer.time_ns(0)
        self._buffer = bytearray(writer.finish())
        self._positions = np.frombuffer(self._buffer, _F8, len(names), start)

    def write(self, start_ns: int, time_from_start_ns: int, positions: Floats) -> bytes:
        """Return the message with this point; `start_ns` becomes the stamp, 0 means now.

        Raises:
            CdrError: If there are not as many positions as joints.
        """
        _fill(self._positions, positions, "positions")
        self._buffer[START:_STAMP_END] = pack_time(start_ns)
        self._buffer[-8:] = pack_time(time_from_start_ns)
        return bytes(self._buffer)


def _fill(target: Floats, values: Floats, what: str) -> None:
    if values.shape != target.shape:  # NumPy would broadcast a single value
        raise CdrError(f"{what}: expected {target.size} values, got shape {values.shape}")
    target[:] = values
