# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of a stream as ZeroMQ frames: [topic] [header] [array 0] [array 1] ...

The topic is text, the header a msgpack map, and arrays are raw bytes in C order and little-endian.
docs/stream_protocol.md has every byte, and test vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack
import numpy as np
import zmq
from numpy.typing import NDArray

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Detections, Record
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError, content, decode_array, encodable, shown
from lowlat_nodes.transport.records import check

VERSION = 1

ARRAY, DETECTIONS, RECORD = "array", "detections", "record"

MAX_TOPIC = 255
MAX_HEADER = 1 << 16
MAX_ARRAYS = 8
MAX_FRAMES = 2 + MAX_ARRAYS
_MAX_NAMES = 1 << 14
_MAX_NAME = 1024  # characters
_U64 = 1 << 64
_I64 = 1 << 63
_STAMPS = 6
_COLUMNS = 6


def encode(message: Message, topic: str, sequence: int) -> list[bytes | memoryview]:
    """Return the frames of a message; arrays are not copied.

    Args:
        message: Its payload is `Detections`, a `Record` or an array.
        topic: Stands in the first frame.
        sequence: Counts what was published under the topic.

    Raises:
        WireError: If the payload has no form on the wire, contradicts itself or is too large.
    """
    schema, details, parts = _take_apart(message.payload)
    arrays = [encodable(part) for part in parts]
    trace = message.trace
    header = _pack(
        {
            "v": VERSION,
            "schema": schema,
            "seq": sequence,
            "trace": [
                trace.capture_ns,
                trace.received_ns,
                trace.dequeued_ns,
                trace.inference_start_ns,
                trace.inference_end_ns,
                trace.published_ns,
            ],
            "frame_id": message.frame_id,
            "arrays": [[array.dtype.str, array.shape] for array in arrays],
            **details,
        }
    )
    name = topic.encode()
    if not 0 < len(name) <= MAX_TOPIC or len(header) > MAX_HEADER:
        raise WireError(
            f"expected a topic of 1 to {MAX_TOPIC} bytes and a header of at most {MAX_HEADER}, got "
            f"{len(name)} and {len(header)}"
        )
    if any(array.nbytes > MAX_MESSAGE for array in arrays):
        raise WireError(f"expected arrays of at most {MAX_MESSAGE} bytes to send")
    return [name, header, *map(content, arrays)]


def decode(frames: Sequence[zmq.Frame]) -> Message:
    """Return a message with the sequence number and the trace of its publisher.

    Arrays lie in the memory of the frames and cannot be written to.

    Raises:
        WireError: If the frames are anything but such a message.
    """
    if not 2 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"expected 2 to {MAX_FRAMES} frames, got {len(frames)}")
    topic = decode_topic(frames[0])
    fields = _unpack_header(frames[1])
    if type(fields.get("v")) is not int or fields["v"] != VERSION:
        raise WireError(f"header: expected version {VERSION} as 'v', got {shown(fields.get('v'))}")
    sequence, frame_id = fields.get("seq"), fields.get("frame_id", "")
    if type(sequence) is not int or not 0 <= sequence < _U64:
        raise WireError("header: expected 'seq' from 0 to 2**64 - 1")
    if not isinstance(frame_id, str) or len(frame_id) > _MAX_NAME:
        raise WireError(f"header: expected 'frame_id' as text of at most {_MAX_NAME} characters")
    stamps = fields.get("trace")
    if not isinstance(stamps, list) or len(stamps) != _STAMPS:
        raise WireError(f"header: expected {_STAMPS} stamps as 'trace'")
    if not all(type(stamp) is int and 0 <= stamp < _I64 for stamp in stamps):
        raise WireError("header: expected stamps from 0 to 2**63 - 1 ns in 'trace'")
    entries = fields.get("arrays")
    if not isinstance(entries, list) or len(entries) != len(frames) - 2:
        raise WireError(f"header: expected an entry in 'arrays' for each of {len(frames) - 2} frames")
    if not all(isinstance(entry, list) and len(entry) == 2 for entry in entries):
        raise WireError("header: expected [dtype, [size, ...]] for each array")
    arrays = [
        decode_array(dtype, shape, frame.buffer)
        for (dtype, shape), frame in zip(entries, frames[2:], strict=True)
    ]
    return Message(topic, _put_together(fields, arrays), Trace(*stamps), sequence, frame_id)


def decode_topic(frame: zmq.Frame) -> str:
    """Return the topic of a message by its first frame.

    Raises:
        WireError: If it is none.
    """
    if not 0 < len(frame) <= MAX_TOPIC:
        raise WireError(f"topic: expected 1 to {MAX_TOPIC} bytes, got {len(frame)}")
    try:
        return frame.bytes.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"topic: expected UTF-8: {error}") from error


def _pack(header: dict[str, Any]) -> bytes:
    try:
        return msgpack.packb(header)  # type: ignore[no-any-return]
    except ValueError as error:  # text that UTF-8 cannot say
        raise WireError(f"header: {error}") from error


def _unpack_header(frame: zmq.Frame) -> dict[str, Any]:
    """Return the fields of a header; unknown ones may hold anything, and are left alone."""
    if len(frame) > MAX_HEADER:
        raise WireError(f"header: expected at most {MAX_HEADER} bytes, got {len(frame)}")
    try:
        fields = msgpack.unpackb(
            frame.buffer, max_map_len=_MAX_NAMES, max_array_len=_MAX_NAMES, max_bin_len=0, max_ext_len=0
        )
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"header: expected msgpack: {type(error).__name__}: {error}") from error
    if not isinstance(fields, dict):
        raise WireError(f"header: expected a map, got {type(fields).__name__}")
    return fields


def _take_apart(payload: Any) -> tuple[str, dict[str, Any], list[NDArray[Any]]]:
    """Return the schema of a payload, the fields that it adds to the header, and its arrays."""
    if isinstance(payload, np.ndarray):
        return ARRAY, {}, [payload]
    if isinstance(payload, Detections):
        rows = np.asarray(payload.rows, np.float32)
        arrays: list[NDArray[Any]] = [rows]
        if payload.tracks is not None:
            arrays.append(np.asarray(payload.tracks, np.int64))
        _check_detections(arrays, payload.names)
        return DETECTIONS, {"names": payload.names}, arrays
    if isinstance(payload, Record):
        check(payload.fields)
        return RECORD, {"key": _key_text(payload.key), "fields": payload.fields}, []
    raise WireError(f"expected a payload of type ndarray, Detections or Record, got {type(payload).__name__}")


def _put_together(fields: dict[str, Any], arrays: list[NDArray[Any]]) -> Any:
    schema = fields.get("schema")
    if schema == ARRAY:
        if len(arrays) != 1:
            raise WireError(f"{ARRAY}: expected 1 array, got {len(arrays)}")
        return arrays[0]
    if schema == DETECTIONS:
        names = fields.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise WireError(f"{DETECTIONS}: expected a list of text as 'names'")
        _check_detections(arrays, names)
        return Detections(arrays[0], tuple(names), arrays[1] if len(arrays) > 1 else None)
    if schema == RECORD:
        return _record(fields, arrays)
    raise WireError(
        f"header: expected {ARRAY!r}, {DETECTIONS!r} or {RECORD!r} as 'schema', got {shown(schema)}"
    )


def _key_text(key: bytes) -> str:
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"{RECORD}: expected UTF-8 as key: {error}") from error
    if len(text) > _MAX_NAME:
        raise WireError(f"{RECORD}: expected a key of at most {_MAX_NAME} characters, got {len(text)}")
    return text


def _record(header: dict[str, Any], arrays: list[NDArray[Any]]) -> Record:
    fields: Any = header.get("fields")
    key = header.get("key", "")
    if arrays:
        raise WireError(f"{RECORD}: expected no arrays, got {len(arrays)}")
    if not isinstance(key, str) or len(key) > _MAX_NAME:
        raise WireError(f"{RECORD}: expected 'key' as text of at most {_MAX_NAME} characters")
    check(fields)
    return Record(fields, key.encode())


def _check_detections(arrays: list[NDArray[Any]], names: Sequence[str]) -> None:
    forms = [(array.dtype.str, array.shape) for array in arrays]
    count = len(arrays[0]) if arrays and arrays[0].ndim else 0
    expected = [("<f4", (count, _COLUMNS)), ("<i8", (count,))]
    if not forms or forms != expected[: len(forms)]:
        raise WireError(f"{DETECTIONS}: expected <f4 [n, {_COLUMNS}] and perhaps <i8 [n], got {forms}")
    classes = arrays[0][:, -1]
    if count and not (classes.min() >= 0 and classes.max() < len(names)):  # nor NaN
        raise WireError(f"{DETECTIONS}: expected classes from 0 to {len(names) - 1}")
