# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of a stream as frames: [topic] [header] [array 0] [array 1] ...

The topic is text, the header a msgpack map, and arrays are raw bytes in C order and little-endian, or lie in
shared memory. docs/stream_protocol.md has every byte, and test vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
from numpy.typing import NDArray

from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.arrays import (
    MAX_MESSAGE,
    NAMES,
    WireError,
    checked_size,
    content,
    decode_array,
    encodable,
)
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.zmq.header import (
    MAX_ARRAYS,
    MAX_HEADER,
    VERSION,
    checked_via,
    read,
)
from lowlat_nodes.transport.zmq.schemas.registry import schema_named, schema_of

if TYPE_CHECKING:
    from lowlat_nodes.transport.zmq.header import Frame

MAX_TOPIC = 255
MAX_FRAMES = 2 + MAX_ARRAYS

Attach = Callable[[Place, Sequence[int]], Sequence[memoryview]]
"""Returns, for a place in shared memory and the number of bytes of each array there, read-only bytes."""


class _Thread(threading.local):
    """What each thread has of its own: making a packer costs more than what it packs."""

    def __init__(self) -> None:
        self.packer = msgpack.Packer()


_thread = _Thread()


class Content(NamedTuple):
    """A payload as it goes over the wire, before it is known how.

    Attributes:
        schema: Says what the arrays mean.
        details: What the schema adds to the header.
        arrays: Arrays in C order and little-endian, of dtypes that the wire has.
        nbytes: Of all arrays together.
        forms: The dtype and the shape of each array, as the header gives them.
    """

    schema: str
    details: dict[str, Any]
    arrays: list[NDArray[Any]]
    nbytes: int
    forms: list[tuple[str, tuple[int, ...]]]


@dataclass(slots=True)
class Received:
    """A message and what came with it.

    Attributes:
        message: With the sequence number and the trace of its publisher. Its arrays lie in the memory of the
            frames, or in shared memory, and cannot be written to.
        epoch: Which run of the publisher it is from, 0 where not told; `sequence` begins anew with each.
        budget_ns: After this time from publication it is of no use, 0 for never.
        via: The bridges that passed it on.
        kept: Whether it was published before, and is sent again to a newcomer.
    """

    message: Message
    epoch: int
    budget_ns: int
    via: tuple[str, ...]
    kept: bool = False


def take_apart(payload: Any) -> Content:
    """Return what a payload is on the wire; arrays are copied only where their layout must change.

    Raises:
        WireError: If the payload has no form on the wire, contradicts itself or is too large.
    """
    schema = schema_of(payload)
    details, parts = schema.take_apart(payload)
    arrays, forms, total = [], [], 0
    for part in parts:
        array = encodable(part)
        size = array.nbytes
        if size > MAX_MESSAGE:
            raise WireError(f"expected arrays of at most {MAX_MESSAGE} bytes to send, got {size}")
        arrays.append(array)
        forms.append((NAMES[array.dtype], array.shape))
        total += size
    return Content(schema.name, details, arrays, total, forms)


def encode_header(
    message: Message,
    content: Content,
    sequence: int,
    *,
    epoch: int = 0,
    budget_ns: int = 0,
    via: Sequence[str] = (),
    kept: bool = False,
    place: Place | None = None,
) -> bytes:
    """Return the second frame of a message.

    Args:
        message: Its trace and frame are sent.
        content: What `take_apart` made of its payload.
        sequence: Counts what was published under the topic.
        epoch: Which run of the publisher this is.
        budget_ns: After this time from publication the message is of no use, 0 for never.
        via: At most 8 names of bridges that passed it on.
        kept: Whether it is sent again to a newcomer.
        place: Where the arrays lie in shared memory; None where they follow as frames.

    Raises:
        WireError: If the header is too large.
    """
    trace = message.trace
    fields: dict[str, Any] = {
        "v": VERSION,
        "schema": content.schema,
        "seq": sequence,
        "trace": (
            trace.capture_ns,
            trace.received_ns,
            trace.dequeued_ns,
            trace.inference_start_ns,
            trace.inference_end_ns,
            trace.published_ns,
        ),
        "frame_id": message.frame_id,
        "arrays": content.forms,
    }
    if epoch:
        fields["epoch"] = epoch
    if budget_ns:
        fields["budget_ns"] = budget_ns
    if via:
        fields["via"] = checked_via(via)
    if kept:
        fields["kept"] = True
    if place is not None:
        fields["shm"] = place
    fields |= content.details
    try:
        header: bytes = _thread.packer.pack(fields)
    except (ValueError, OverflowError) as error:  # text that UTF-8 cannot say, numbers beyond 64 bits
        raise WireError(f"header: {error}") from error
    if len(header) > MAX_HEADER:
        raise WireError(f"expected a header of at most {MAX_HEADER} bytes, got {len(header)}")
    return header


def encode(
    message: Message,
    topic: str,
    sequence: int,
    *,
    epoch: int = 0,
    budget_ns: int = 0,
    via: Sequence[str] = (),
) -> list[bytes | memoryview]:
    """Return the frames of a message; arrays are not copied.

    Args:
        message: What is sent.
        topic: Stands in the first frame.
        sequence: Counts what was published under the topic.
        epoch: Which run of the publisher this is.
        budget_ns: After this time from publication the message is of no use, 0 for never.
        via: At most 8 names of bridges that passed it on.

    Raises:
        WireError: If the payload has no form on the wire, contradicts itself or is too large.
    """
    taken = take_apart(message.payload)
    header = encode_header(message, taken, sequence, epoch=epoch, budget_ns=budget_ns, via=via)
    return [encode_topic(topic), header, *inline(taken)]


def inline(taken: Content) -> list[memoryview]:
    """Return the frames behind the header of a message whose arrays are not in shared memory, not copied."""
    return [content(array) for array in taken.arrays]


def encode_topic(topic: str) -> bytes:
    """Return the first frame of a message.

    Raises:
        WireError: If it is no topic.
    """
    name = topic.encode()
    if not 0 < len(name) <= MAX_TOPIC:
        raise WireError(f"expected a topic of 1 to {MAX_TOPIC} bytes, got {len(name)}")
    return name


def decode(frames: Sequence[Frame], *, attach: Attach | None = None, topic: str | None = None) -> Received:
    """Return a message with all that came with it.

    Args:
        frames: As they came.
        attach: Opens what lies in shared memory; what it raises passes through. None refuses such messages.
        topic: Of the message, for a receiver that has looked at the first frame; otherwise it is read.

    Raises:
        WireError: If the frames are anything but a message.
    """
    if not 2 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"expected 2 to {MAX_FRAMES} frames, got {len(frames)}")
    if topic is None:
        topic = decode_topic(frames[0])
    name, sequence, trace, frame_id, epoch, budget_ns, via, kept, place, forms, fields = read(
        frames[1], len(frames) - 2
    )
    schema = schema_named(name)
    if place is None and len(forms) == 1:  # most messages; the loop takes 0.5 us more
        dtype, shape = forms[0]
        only: Any = frames[2]
        arrays = [decode_array(dtype, shape, memoryview(only))]
    else:
        parts: Sequence[Any] = frames[2:] if place is None else _attached(place, forms, attach)
        arrays = []
        for (dtype, shape), part in zip(forms, parts):  # noqa: B905  # the schema checks how many there are
            arrays.append(decode_array(dtype, shape, memoryview(part)))
    message = Message(topic, schema.put_together(fields, arrays), trace, sequence, frame_id)
    return Received(message, epoch, budget_ns, via, kept)


def decode_topic(frame: Frame) -> str:
    """Return the topic of a message by its first frame.

    Raises:
        WireError: If it is none.
    """
    if not 0 < len(frame) <= MAX_TOPIC:
        raise WireError(f"topic: expected 1 to {MAX_TOPIC} bytes, got {len(frame)}")
    try:
        return str(frame, "utf-8")  # type: ignore[arg-type]  # a frame of ZeroMQ is a buffer too
    except UnicodeDecodeError as error:
        raise WireError(f"topic: expected UTF-8: {error}") from error


def _attached(place: Place, forms: list[list[Any]], attach: Attach | None) -> Sequence[memoryview]:
    """Return the arrays of a message that are in shared memory; nothing is opened for a form that is none."""
    if attach is None:
        raise WireError("header: expected arrays as frames, got a place in shared memory ('shm')")
    return attach(place, [checked_size(*form) for form in forms])
