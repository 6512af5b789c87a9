# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images taken from the middleware as C structures, their pixels a view on them.

A serialised message is copied once more on its way out of Fast DDS than a typed one, into fresh memory: half
a millisecond for an image of 1280x720. `rcl_take` fills the structure that ROS generates for
sensor_msgs/Image in C; its layout follows from the definition of the message, and is checked once against a
message of known content. Where the libraries or the layout are others, messages are taken serialised.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from rclpy.impl.implementation_singleton import rclpy_implementation

from lowlat_nodes.stream.payload import Image
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.serialised import ByteArray, rcl
from lowlat_nodes.transport.ros.topics import message_type

IMAGE = "sensor_msgs/msg/Image"

_KEPT = 4  # structures that wait for the next image; more are in use only while somebody holds images
_INFO_BYTES = 1024  # more than rmw_message_info_t has in any distribution
_OK, _NOTHING = 0, 401


class _Text(ctypes.Structure):
    """`rosidl_runtime_c__String`."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("capacity", ctypes.c_size_t))


class _Image(ctypes.Structure):
    """`sensor_msgs__msg__Image`."""

    _fields_ = (
        ("sec", ctypes.c_int32),
        ("nanosec", ctypes.c_uint32),
        ("frame_id", _Text),
        ("height", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("encoding", _Text),
        ("is_bigendian", ctypes.c_uint8),
        ("step", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
    )


class _Library:
    """The C functions for images."""

    def __init__(self) -> None:
        generated = ctypes.CDLL("libsensor_msgs__rosidl_generator_c.so")
        self.create = generated.sensor_msgs__msg__Image__create
        self.create.restype = ctypes.c_void_p
        self.destroy = generated.sensor_msgs__msg__Image__destroy
        self.destroy.argtypes = [ctypes.c_void_p]
        self._rcl = ctypes.CDLL("librcl.so")
        self.take = self._rcl.rcl_take
        self.take.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]

    def deserialise(self, data: bytes) -> HeldImage | None:
        """Return a serialised image as a structure; None for bytes that the middleware does not read."""
        kind = type(message_type(IMAGE))
        kind.__import_type_support__()
        array = ByteArray(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), len(data))
        deserialise = self._rcl.rmw_deserialize  # of whichever middleware it is linked to
        deserialise.argtypes = [ctypes.POINTER(ByteArray), ctypes.c_void_p, ctypes.c_void_p]
        held = HeldImage(ImageTaker(self))
        return held if deserialise(array, _pointer(kind._TYPE_SUPPORT), held.address) == _OK else None

    def knows_the_layout(self) -> bool:
        """Return whether a message of known content has its fields where they are looked for."""
        pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
        held = self.deserialise(cdr.encode(IMAGE, 5_000_000_007, "optical", Image(pixels, "bgr8")))
        if held is None:
            return False
        try:
            read = decode(held)
        except cdr.CdrError:
            return False
        image: Image = read.payload
        same = (read.stamp_ns, read.frame_id, image.encoding) == (5_000_000_007, "optical", "bgr8")
        return same and np.array_equal(image.data, pixels)


def _pointer(capsule: Any) -> int:
    """Return what a PyCapsule points to."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address: int = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return address


class HeldImage:
    """One C structure; it goes back to its taker when neither this nor a view of it is left."""

    def __init__(self, taker: ImageTaker) -> None:
        self.address = taker.lend()
        self._taker = taker

    def __del__(self) -> None:
        self._taker.put_back(self.address)


class ImageTaker:
    """Takes the images of subscriptions into structures that are used again."""

    def __init__(self, library: _Library) -> None:
        self._library = library
        # Without a lock: the garbage collector may put something back in the middle of any line.
        self._pool: list[int] = []
        self._info = ctypes.create_string_buffer(_INFO_BYTES)

    def take(self, subscription: Any) -> HeldImage | None:
        """Take the next image of an rclpy subscription whose handle is held; None if there is none.

        What the middleware cannot read is thrown away by it, and None as well.

        Raises:
            RuntimeError: If the middleware fails.
        """
        held = HeldImage(self)
        result = self._library.take(subscription.handle.pointer, held.address, self._info, None)
        if result == _OK:
            return held
        if result != _NOTHING:
            known = rcl()
            assert known is not None
            known.forget_error()
            raise RuntimeError(f"cannot take an image: rcl_take says {result}")
        return None

    def lend(self) -> int:
        """Return the address of a structure that nothing refers to."""
        address: int = self._pool.pop() if self._pool else self._library.create()
        return address

    def put_back(self, address: int) -> None:
        """Use a structure for a later image, or free it."""
        if len(self._pool) < _KEPT:
            self._pool.append(address)
        else:
            self._library.destroy(address)

    def __del__(self) -> None:
        while self._pool:
            self._library.destroy(self._pool.pop())


def decode(held: HeldImage) -> cdr.Decoded:
    """Return an image as `cdr.decode` does; its pixels keep the structure.

    Raises:
        CdrError: If it contradicts itself.
    """
    found = _Image.from_address(held.address)
    frame_id, encoding = _text(found.frame_id, "frame_id"), _text(found.encoding, "encoding")
    content = (ctypes.c_ubyte * found.size).from_address(found.data) if found.size else (ctypes.c_ubyte * 0)()
    content.held = held  # type: ignore[attr-defined]
    image = cdr.image_view(
        memoryview(content).cast("B"),
        start=0,
        size=found.size,
        height=found.height,
        width=found.width,
        encoding=encoding,
        big_endian=bool(found.is_bigendian),
        step=found.step,
    )
    return cdr.Decoded(cdr.stamp_ns(found.sec, found.nanosec), frame_id, image)


def _text(text: _Text, what: str) -> str:
    if text.size > cdr.NAME_LIMIT:
        raise cdr.CdrError(f"{what}: expected a string of at most {cdr.NAME_LIMIT} bytes, got {text.size}")
    raw = ctypes.string_at(text.data, text.size) if text.size else b""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise cdr.CdrError(f"{what}: expected UTF-8, got {raw[:16]!r}") from error


@functools.cache
def _library() -> _Library | None:
    if not hasattr(rclpy_implementation.Subscription, "pointer"):
        return None
    try:
        library = _Library()
        known = library.knows_the_layout()
    except (OSError, AttributeError, ValueError):  # other libraries, or another layout of rclpy
        return None
    return library if known else None


def image_taker() -> ImageTaker | None:
    """Return what takes images as structures; None where that cannot be done."""
    library = _library()
    return None if library is None or rcl() is None else ImageTaker(library)
