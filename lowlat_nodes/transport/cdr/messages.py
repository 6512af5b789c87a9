# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages that the nodes use, each with its reader and writer, by ROS type name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import (
    NO_FLOATS,
    CompressedImage,
    Detections,
    Floats,
    Image,
    Joints,
    Labels,
    Packet,
    Text,
    Trajectory,
)
from lowlat_nodes.transport.cdr.codec import Codec, Decoded
from lowlat_nodes.transport.cdr.detections import read_detections, write_detections
from lowlat_nodes.transport.cdr.image_marker import write_image_marker
from lowlat_nodes.transport.cdr.labels import read_labels, write_labels
from lowlat_nodes.transport.cdr.wire import SEQUENCE_LIMIT, TEXT_LIMIT, Buffer, CdrError, Reader, Writer


@dataclass(frozen=True)
class Pixel:
    """What one pixel of an encoding is: a NumPy scalar type (native order) and a number of channels."""

    scalar: str
    channels: int


# Names of sensor_msgs/image_encodings.hpp whose pixels are whole scalars of one type.
PIXELS: dict[str, Pixel] = {
    "mono8": Pixel("u1", 1),
    "rgb8": Pixel("u1", 3),
    "bgr8": Pixel("u1", 3),
    "rgba8": Pixel("u1", 4),
    "bgra8": Pixel("u1", 4),
    "mono16": Pixel("u2", 1),
    "rgb16": Pixel("u2", 3),
    "bgr16": Pixel("u2", 3),
    "rgba16": Pixel("u2", 4),
    "bgra16": Pixel("u2", 4),
    "yuv422": Pixel("u1", 2),
    "yuv422_yuy2": Pixel("u1", 2),
    "uyvy": Pixel("u1", 2),
    "yuyv": Pixel("u1", 2),
    **{f"bayer_{order}{bits}": Pixel(f"u{bits // 8}", 1)
       for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)},
    **{f"{bits}{kind}C{channels}": Pixel(f"{scalar}{bits // 8}", channels)
       for kind, scalar, sizes in (("U", "u", (8, 16)), ("S", "i", (8, 16, 32)), ("F", "f", (32, 64)))
       for bits in sizes for channels in (1, 2, 3, 4)},
}  # fmt: skip


class UnknownType(CdrError):
    """A ROS type that this package does not read, or not write."""

    def __init__(self, type_name: str, known: frozenset[str]) -> None:
        super().__init__(f"expected one of {', '.join(sorted(known))}; got {type_name!r}")


def decode(type_name: str, data: Buffer) -> Decoded:
    """Read a message.

    Image data is a read-only view that keeps `data` alive; everything else is copied. Bytes after the
    message are ignored: `rclpy.serialize_message` leaves some. NaN and infinities are carried.

    Args:
        type_name: As in `sensor_msgs/msg/Image`.
        data: The serialised message with its encapsulation header.

    Raises:
        UnknownType: If there is no reader for it.
        CdrError: If the bytes are not such a message, or one that contradicts itself.
    """
    codec = _CODECS.get(type_name)
    if codec is None or codec.read is None:
        raise UnknownType(type_name, READABLE)
    return codec.read(Reader(data))


def encode(type_name: str, stamp_ns: int, frame_id: str, payload: Any) -> bytes:
    """Write a message, the reverse of `decode`.

    Args:
        type_name: As in `sensor_msgs/msg/Image`.
        stamp_ns: The header stamp. Unused for types without header, and for JointTrajectory, whose stamp is
            the `start_ns` of its payload.
        frame_id: The header frame.
        payload: What `decode` gives for this type.

    Raises:
        UnknownType: If there is no writer for it.
        CdrError: If the payload is of another type or contradicts itself.
    """
    codec = _CODECS.get(type_name)
    if codec is None:
        raise UnknownType(type_name, WRITABLE)
    if not isinstance(payload, codec.payload):
        raise CdrError(
            f"{type_name}: expected a payload of type {codec.payload.__name__}, got {type(payload).__name__}"
        )
    return codec.write(Writer(), stamp_ns, frame_id, payload)


def says_all(type_name: str, data: Buffer, decoded: Decoded) -> bool:
    """Return whether a payload holds every field of its message, so that `encode` makes it anew.

    That of an image does not where rows were padded or the byte order was another, and some types have fields
    that their payloads lack. Bytes that only pad a message may be others.

    Args:
        type_name: As in `sensor_msgs/msg/Image`.
        data: The message.
        decoded: What `decode` made of it.
    """
    if type_name not in _COMPLETE:
        return False
    if not isinstance(decoded.payload, Image):
        return True
    reader = Reader(data)
    reader.time_ns("stamp")
    reader.string("frame_id")
    reader.u4("height")
    reader.u4("width")
    reader.string("encoding")
    return not reader.u1("is_bigendian") and bool(decoded.payload.data.flags.c_contiguous)


def _read_image(reader: Reader) -> Decoded:
    stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    height, width = reader.u4("height"), reader.u4("width")
    encoding = reader.string("encoding")
    big_endian = bool(reader.u1("is_bigendian"))
    step, size = reader.u4("step"), reader.u4("data")
    image = image_view(
        reader.data,
        start=reader.offset,
        size=size,
        height=height,
        width=width,
        encoding=encoding,
        big_endian=big_endian,
        step=step,
    )
    reader.take(size, "data")
    return Decoded(stamp_ns, frame_id, image)


def image_view(
    data: Buffer,
    *,
    start: int,
    size: int,
    height: int,
    width: int,
    encoding: str,
    big_endian: bool,
    step: int,
) -> Image:
    """Return the image that the fields of a message describe, a read-only view.

    Args:
        data: Holds the pixels, and is kept alive.
        start: Where they begin in it.
        size: How many bytes of pixels there are said to be.
        height: Rows.
        width: Columns.
        encoding: Of a pixel.
        big_endian: Whether values of several bytes begin with the high one.
        step: Bytes of a row.

    Raises:
        CdrError: If these contradict each other, or the pixels are not there.
    """
    pixel = _pixel(encoding)
    channels, scalar = pixel.channels, np.dtype((">" if big_endian else "<") + pixel.scalar)
    item = scalar.itemsize
    if not height or not width:
        raise CdrError(f"image: expected at least one pixel, got {width}x{height}")
    row = width * channels * item
    if step < row:
        raise CdrError(f"step: expected at least {row} bytes for {width} pixels {encoding}, got {step}")
    if size != height * step:
        raise CdrError(f"data: expected {height} rows x {step} = {height * step} bytes, got {size}")
    if size > len(data) - start:
        raise CdrError(f"data: expected {size} bytes at offset {start}, got {max(len(data) - start, 0)}")
    dimensions = 2 if channels == 1 else 3
    view: NDArray[np.uint8] = np.ndarray(
        (height, width, channels)[:dimensions],
        scalar,
        data,
        start,
        (step, item * channels, item)[:dimensions],
    )
    view.flags.writeable = False
    return Image(view, encoding)


def _write_image(writer: Writer, stamp_ns: int, frame_id: str, payload: Image) -> bytes:
    data = np.ascontiguousarray(payload.data)
    pixel = _pixel(payload.encoding)
    if not data.size or data.ndim not in (2, 3) or (*data.shape, 1)[2] != pixel.channels:
        raise CdrError(
            f"image: expected [height, width, {pixel.channels}] for {payload.encoding}, got {data.shape}"
        )
    if f"{data.dtype.kind}{data.dtype.itemsize}" != pixel.scalar:
        raise CdrError(f"image: expected dtype {pixel.scalar} for {payload.encoding}, got {data.dtype}")
    data = data.astype(data.dtype.newbyteorder("<"), copy=False)
    writer.time_ns(stamp_ns)
    writer.string(frame_id)
    writer.u4(data.shape[0])
    writer.u4(data.shape[1])
    writer.string(payload.encoding)
    writer.u1(0)  # little endian
    writer.u4(data.nbytes // data.shape[0])
    writer.u4(data.nbytes)
    return writer.finish(data.reshape(-1).view(np.uint8).data)


def _pixel(encoding: str) -> Pixel:
    pixel = PIXELS.get(encoding)
    if pixel is None:
        raise CdrError(f"encoding: expected one of {', '.join(PIXELS)}; got {encoding!r}")
    return pixel


def _read_compressed_image(reader: Reader) -> Decoded:
    stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    image_format = reader.string("format")
    return Decoded(stamp_ns, frame_id, CompressedImage(reader.octets("data"), image_format))


def _write_compressed_image(writer: Writer, stamp_ns: int, frame_id: str, payload: CompressedImage) -> bytes:
    writer.time_ns(stamp_ns)
    writer.string(frame_id)
    writer.string(payload.format)
    data = np.ascontiguousarray(payload.data, dtype=np.uint8)
    writer.u4(data.size)
    return writer.finish(data.reshape(-1).data)


def _read_joint_state(reader: Reader) -> Decoded:
    stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    names = reader.strings("name")
    position, velocity, effort = (reader.floats(what) for what in ("position", "velocity", "effort"))
    joints = Joints(names, position, velocity, effort)
    _check_joints(joints)
    return Decoded(stamp_ns, frame_id, joints)


def _write_joint_state(writer: Writer, stamp_ns: int, frame_id: str, payload: Joints) -> bytes:
    _check_joints(payload)
    writer.time_ns(stamp_ns)
    writer.string(frame_id)
    writer.strings(payload.names)
    for values in (payload.position, payload.velocity, payload.effort):
        writer.floats(values)
    return writer.finish()


def _check_joints(joints: Joints) -> None:
    for what in ("position", "velocity", "effort"):
        shape = getattr(joints, what).shape
        if shape not in ((len(joints.names),), (0,)):
            raise CdrError(f"{what}: expected {len(joints.names)} values, one per name, or none; got {shape}")


def _read_trajectory(reader: Reader) -> Decoded:
    stamp_ns, frame_id = reader.time_ns("stamp"), reader.string("frame_id")
    names = reader.strings("joint_names")
    count = reader.count("points", 24, SEQUENCE_LIMIT)  # a point is at least four lengths and a duration
    times = np.empty(count, dtype=np.int64)
    columns: dict[str, list[Floats]] = {"positions": [], "velocities": [], "accelerations": []}
    for index in range(count):
        for what, column in columns.items():
            column.append(reader.floats(what))
        reader.floats("effort")
        times[index] = reader.time_ns("time_from_start")
    tables = [_table(rows, len(names), what) for what, rows in columns.items()]
    trajectory = Trajectory(names, stamp_ns, times, *tables)
    _check_trajectory(trajectory)
    return Decoded(stamp_ns, frame_id, trajectory)


def _table(rows: list[Floats], joints: int, what: str) -> Floats:
    sizes = {row.size for row in rows}
    if what != "positions" and sizes <= {0}:
        return NO_FLOATS
    if sizes - {joints}:
        raise CdrError(f"{what}: expected {joints} values in every point, got {sorted(sizes)}")
    return np.array(rows, dtype=np.float64).reshape(len(rows), joints)


def _write_trajectory(writer: Writer, _stamp_ns: int, frame_id: str, payload: Trajectory) -> bytes:
    _check_trajectory(payload)
    writer.time_ns(payload.start_ns)
    writer.string(frame_id)
    writer.strings(payload.names)
    writer.u4(len(payload.positions))
    for index, time_ns in enumerate(payload.time_from_start_ns.tolist()):
        for table in (payload.positions, payload.velocities, payload.accelerations):
            writer.floats(table[index] if table.size else NO_FLOATS)
        writer.u4(0)  # no effort
        writer.time_ns(time_ns)
    return writer.finish()


def _check_trajectory(trajectory: Trajectory) -> None:
    shape = (trajectory.time_from_start_ns.size, len(trajectory.names))
    for what in ("positions", "velocities", "accelerations"):
        table = getattr(trajectory, what)
        if table.shape != shape and (what == "positions" or table.size):
            raise CdrError(f"{what}: expected [points, joints] = {shape}, got {table.shape}")
    times = trajectory.time_from_start_ns
    if np.any(times[1:] <= times[:-1]):
        raise CdrError(f"time_from_start: expected times that increase, got {times[:8].tolist()} ns")


def _skip_layout(reader: Reader) -> None:
    """Skip the layout of an array, as ros2_controllers do."""
    for _ in range(reader.count("dim", 12, SEQUENCE_LIMIT)):
        reader.string("label")
        reader.u4("size")
        reader.u4("stride")
    reader.u4("data_offset")


def _read_float64_multi_array(reader: Reader) -> Decoded:
    _skip_layout(reader)
    return Decoded(None, "", reader.floats("data"))


def _write_float64_multi_array(writer: Writer, _stamp_ns: int, _frame_id: str, payload: Floats) -> bytes:
    if payload.ndim != 1 or payload.dtype != np.float64:
        raise CdrError(f"data: expected float64 [n], got {payload.dtype} {payload.shape}")
    writer.u4(0)
    writer.u4(0)
    writer.floats(payload)
    return writer.finish()


def _read_uint8_multi_array(reader: Reader) -> Decoded:
    _skip_layout(reader)
    count = reader.count("data", 1)
    start = reader.take(count, "data")
    return Decoded(None, "", Packet(memoryview(reader.data)[start : start + count]))


def _write_uint8_multi_array(writer: Writer, _stamp_ns: int, _frame_id: str, payload: Packet) -> bytes:
    writer.u4(0)
    writer.u4(0)
    writer.u4(len(payload.data))
    return writer.finish(payload.data)


def _read_string(reader: Reader) -> Decoded:
    return Decoded(None, "", Text(reader.string("data", TEXT_LIMIT)))


def _write_string(writer: Writer, _stamp_ns: int, _frame_id: str, payload: Text) -> bytes:
    writer.string(payload.data)
    return writer.finish()


_CODECS: dict[str, Codec] = {
    "sensor_msgs/msg/CompressedImage": Codec(
        CompressedImage, _write_compressed_image, _read_compressed_image
    ),
    "sensor_msgs/msg/Image": Codec(Image, _write_image, _read_image),
    "sensor_msgs/msg/JointState": Codec(Joints, _write_joint_state, _read_joint_state),
    "std_msgs/msg/Float64MultiArray": Codec(
        np.ndarray, _write_float64_multi_array, _read_float64_multi_array
    ),
    "std_msgs/msg/String": Codec(Text, _write_string, _read_string),
    "std_msgs/msg/UInt8MultiArray": Codec(Packet, _write_uint8_multi_array, _read_uint8_multi_array),
    "trajectory_msgs/msg/JointTrajectory": Codec(Trajectory, _write_trajectory, _read_trajectory),
    "vision_msgs/msg/Detection2DArray": Codec(Detections, write_detections, read_detections),
    "vision_msgs/msg/LabelInfo": Codec(Labels, write_labels, read_labels),
    "visualization_msgs/msg/ImageMarker": Codec(Detections, write_image_marker, None),
}

WRITABLE: frozenset[str] = frozenset(_CODECS)
"""The type names that `encode` knows."""

_COMPLETE = frozenset(
    {
        "sensor_msgs/msg/CompressedImage",
        "sensor_msgs/msg/Image",
        "sensor_msgs/msg/JointState",
        "std_msgs/msg/String",
    }
)

READABLE: frozenset[str] = frozenset(name for name, codec in _CODECS.items() if codec.read is not None)
"""The type names that `decode` knows."""
