# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Serialised messages from and to the middleware without the copies of rclpy.

rclpy makes a `bytes` of each serialised message that it takes, and two copies of each that it publishes. For
an image of 1280x720 that is 0.9 of 4.2 ms from process to process. `rcl_take_serialized_message` and
`rcl_publish_serialized_message` are public functions of the library below it; they are called here with the
same handles. Where that library cannot be had, rclpy does it.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from typing import Any, NamedTuple

from lowlat_nodes.transport.cdr import Buffer

_KEPT = 4  # buffers that wait for the next message; more are in use only while somebody holds images
_INFO_BYTES = 1024  # more than rmw_message_info_t has in any distribution
_LARGE = 1 << 16  # bytes; smaller messages are copied sooner than a call is prepared here
_OK = 0
_NOTHING = 401  # RCL_RET_SUBSCRIPTION_TAKE_FAILED
# The beginning of rmw_message_info_t: two times, two numbers, and rmw_gid_t: a pointer and 16 bytes.
_INFO = struct.Struct("<qqQQQ16s")
_UNNUMBERED = (1 << 64) - 1
_GID = struct.Struct("<Q16s")  # rmw_gid_t, before Jazzy with 24 bytes
_GID_BYTES = 64  # room for any


class Origin(NamedTuple):
    """What the middleware knows about where a message came from.

    Attributes:
        sent_ns: When the publisher handed it over, system time; 0 if not known.
        received_ns: When it came, system time; 0 if not known.
        number: Counts the messages of its publisher; None if not known.
        gid: Tells the publisher, as `endpoint_gid` of `get_publishers_info_by_topic`; empty if not known.
    """

    sent_ns: int
    received_ns: int
    number: int | None
    gid: bytes


class _Allocator(ctypes.Structure):
    """`rcutils_allocator_t`: four functions and their state."""

    _fields_ = (("members", ctypes.c_void_p * 5),)


class ByteArray(ctypes.Structure):
    """`rcutils_uint8_array_t`, which is `rcl_serialized_message_t`."""

    _fields_ = (
        ("buffer", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("allocator", _Allocator),
    )


class _Rcl:
    """The functions of the C libraries that rclpy has loaded."""

    def __init__(self) -> None:
        library, rcutils = ctypes.CDLL("librcl.so"), ctypes.CDLL("librcutils.so")
        self.take = library.rcl_take_serialized_message
        self.take.argtypes = [
            ctypes.c_void_p,
            ctypes.POINTER(ByteArray),
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        self.publish = library.rcl_publish_serialized_message
        self.publish.argtypes = [ctypes.c_void_p, ctypes.POINTER(ByteArray), ctypes.c_void_p]
        self.free = rcutils.rcutils_uint8_array_fini
        self.free.argtypes = [ctypes.POINTER(ByteArray)]
        default = rcutils.rcutils_get_default_allocator
        default.restype = _Allocator
        self.allocator = default()
        self.forget_error = rcutils.rcutils_reset_error
        self.forget_error.restype = None


@functools.cache
def rcl() -> _Rcl | None:
    """Return the functions of the C libraries; None where they cannot be had."""
    try:
        return _Rcl()
    except (OSError, AttributeError):  # not a Linux build, or another layout of the installation
        return None


class _Slot:
    """A message in memory of the C library; it goes back to its pool when nothing refers to it any more."""

    def __init__(self, pool: SerialisedReader, array: ByteArray) -> None:
        self._pool = pool
        self.array = array

    def __del__(self) -> None:
        self._pool.put_back(self.array)


class SerialisedReader:
    """Takes the serialised messages of subscriptions into memory that is used again.

    What is taken stays valid as long as something refers to it: a NumPy view does.
    """

    def __init__(self) -> None:
        self._rcl = rcl()
        self._origin: Origin | None = None  # None: it is in `_info`
        # Without a lock: the garbage collector may call `put_back` in the middle of any line.
        self._free: list[ByteArray] = []
        self._info = ctypes.create_string_buffer(_INFO_BYTES)

    def take(self, subscription: Any) -> Buffer | None:
        """Take the next message of an rclpy subscription whose handle is held; None if there is none.

        Raises:
            rclpy's RCLError: If the middleware fails.
        """
        known, handle = self._rcl, subscription.handle
        if known is None or not hasattr(handle, "pointer"):
            return self._take(subscription)
        self._origin = None
        slot = _Slot(self, self._array())
        array = slot.array
        result = known.take(handle.pointer, array, self._info, None)
        if result not in (_OK, _NOTHING):
            known.forget_error()
            return self._take(subscription)  # which raises what is wrong
        if result == _NOTHING or not array.length:
            return None
        content = (ctypes.c_ubyte * array.length).from_address(array.buffer)
        content.slot = slot  # keeps it
        return memoryview(content).cast("B")

    def origin(self) -> Origin:
        """Return where the message came from that was taken last."""
        if self._origin is not None:
            return self._origin
        sent_ns, received_ns, number, _, _, gid = _INFO.unpack_from(self._info)
        return Origin(sent_ns, received_ns, None if number == _UNNUMBERED else number, gid)

    def put_back(self, array: ByteArray) -> None:
        """Use this memory for a later message, or free it."""
        if len(self._free) < _KEPT:
            self._free.append(array)
            return
        assert self._rcl is not None
        self._rcl.free(array)

    def __del__(self) -> None:
        for array in self._free:
            assert self._rcl is not None
            self._rcl.free(array)

    def _take(self, subscription: Any) -> bytes | None:
        """Take the next message as rclpy does, which does not tell the publisher."""
        taken = subscription.handle.take_message(subscription.msg_type, True)
        if taken is None:
            return None
        data, info = taken
        known = info if isinstance(info, dict) else {}
        self._origin = Origin(
            known.get("source_timestamp") or 0,
            known.get("received_timestamp") or 0,
            known.get("publication_sequence_number"),
            b"",
        )
        return bytes(data)

    def _array(self) -> ByteArray:
        if self._free:
            return self._free.pop()
        assert self._rcl is not None
        return ByteArray(allocator=self._rcl.allocator)


def publish(publisher: Any, data: bytes) -> None:
    """Publish a serialised message through an rclpy publisher."""
    known = rcl()
    handle = publisher.handle
    if known is None or len(data) < _LARGE or not hasattr(handle, "pointer"):
        publisher.publish(data)
        return
    array = ByteArray(
        ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), len(data), known.allocator
    )
    with handle:
        result = known.publish(handle.pointer, array, None)
    if result != _OK:
        publisher.publish(data)  # which raises what is wrong


def publisher_gid(publisher: Any) -> bytes:
    """Return what tells an rclpy publisher from all others, as `Origin.gid`; empty where it cannot be had."""
    handle = publisher.handle
    try:
        library = ctypes.CDLL("librcl.so")
        inner = library.rcl_publisher_get_rmw_handle
        inner.restype, inner.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        gid_of = library.rmw_get_gid_for_publisher  # of whichever middleware it is linked to
        gid_of.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        found = ctypes.create_string_buffer(_GID_BYTES)
        with handle:
            result = gid_of(inner(handle.pointer), found)
    except (OSError, AttributeError):
        return b""
    gid: bytes = _GID.unpack_from(found)[1]
    return gid if result == _OK else b""
