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
from typing import Any

from lowlat_nodes.transport.cdr import Buffer

_KEPT = 4  # buffers that wait for the next message; more are in use only while somebody holds images
_INFO_BYTES = 1024  # more than rmw_message_info_t has in any distribution
_LARGE = 1 << 16  # bytes; smaller messages are copied sooner than a call is prepared here
_OK = 0
_NOTHING = 401  # RCL_RET_SUBSCRIPTION_TAKE_FAILED


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
            return _take(subscription)
        slot = _Slot(self, self._array())
        array = slot.array
        result = known.take(handle.pointer, array, self._info, None)
        if result not in (_OK, _NOTHING):
            known.forget_error()
            return _take(subscription)  # which raises what is wrong
        if result == _NOTHING or not array.length:
            return None
        content = (ctypes.c_ubyte * array.length).from_address(array.buffer)
        content.slot = slot  # keeps it
        return memoryview(content).cast("B")

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

    def _array(self) -> ByteArray:
        if self._free:
            return self._free.pop()
        assert self._rcl is not None
        return ByteArray(allocator=self._rcl.allocator)


def _take(subscription: Any) -> bytes | None:
    """Take the next serialised message as rclpy does."""
    taken = subscription.handle.take_message(subscription.msg_type, True)
    return None if taken is None else taken[0]


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
