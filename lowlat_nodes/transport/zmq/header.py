# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The header of a message that comes in: what is said of every message, whatever its payload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgpack

from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import WireError, shown
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.zmq.schemas.schema import MAX_NAME, MAX_NAMES

if TYPE_CHECKING:
    import zmq

    Frame = bytes | memoryview | zmq.Frame
    """The content of one frame of a message."""

VERSION = 1
MAX_HEADER = 1 << 16
MAX_ARRAYS = 8
MAX_VIA = 8
MAX_VIA_NAME = 255  # characters

_MAX_SEGMENT = 100
_is_segment = lru_cache(maxsize=64)(re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*").fullmatch)  # never a path
_MAX_SLOTS = 1 << 16
_I64 = 1 << 63
_STAMPS = 6


@dataclass(slots=True)
class Header:
    """What the header of a message says, checked.

    Attributes:
        schema: Name of the schema, unchecked: any value.
        sequence: Counts the messages of a topic.
        trace: The stamps.
        frame_id: The coordinate frame.
        epoch: Which run of the publisher it is, 0 where not told.
        budget_ns: After this time from publication the message is of no use, 0 for never.
        via: The bridges that passed it on.
        kept: Whether it was published before, and is sent again to a newcomer.
        place: Where in shared memory the arrays are; None where they are frames.
        forms: The dtype and the shape of each array, unchecked.
        fields: The whole header, for what the schema adds.
    """

    schema: object
    sequence: int
    trace: Trace
    frame_id: str
    epoch: int
    budget_ns: int
    via: tuple[str, ...]
    kept: bool
    place: Place | None
    forms: list[list[Any]]
    fields: Mapping[str, Any]


Fields = tuple[
    object, int, Trace, str, int, int, tuple[str, ...], bool, Place | None, list[list[Any]], dict[str, Any]
]
"""Those of a `Header`, in its order."""


def unpack(frame: Frame, array_frames: int) -> Header:
    """Return what a header says.

    Args:
        frame: The header; unknown keys in it may hold anything, and are left alone.
        array_frames: How many frames of arrays came with it.

    Raises:
        WireError: If it is no header, or not one for that many frames.
    """
    return Header(*read(frame, array_frames))


def read(frame: Frame, array_frames: int) -> Fields:  # noqa: C901  # for each message: no calls
    """Return what `unpack` does, without the object: to make it takes as long as to read half of it."""
    fields = _unpack_map(frame)
    get = fields.get
    version, sequence, frame_id = get("v"), get("seq"), get("frame_id", "")
    if type(version) is not int or version != VERSION:
        raise WireError(f"header: expected version {VERSION} as 'v', got {shown(version)}")
    if type(sequence) is not int or sequence < 0:  # msgpack has none beyond 64 bits
        raise WireError("header: expected 'seq' from 0 to 2**64 - 1")
    if type(frame_id) is not str or len(frame_id) > MAX_NAME:
        raise WireError(f"header: expected 'frame_id' as text of at most {MAX_NAME} characters")
    epoch, budget_ns = get("epoch", 0), get("budget_ns", 0)
    if type(epoch) is not int or epoch < 0 or type(budget_ns) is not int or budget_ns < 0:
        raise WireError("header: expected 'epoch' and 'budget_ns' from 0 to 2**64 - 1")
    stamps, forms = get("trace"), get("arrays")
    if type(stamps) is not list or len(stamps) != _STAMPS:
        raise WireError(f"header: expected {_STAMPS} stamps as 'trace'")
    for stamp in stamps:
        if type(stamp) is not int or not 0 <= stamp < _I64:
            raise WireError("header: expected stamps from 0 to 2**63 - 1 ns in 'trace'")
    if type(forms) is not list:
        raise WireError("header: expected a list as 'arrays'")
    for form in forms:
        if type(form) is not list or len(form) != 2:
            raise WireError("header: expected [dtype, [size, ...]] for each array in 'arrays'")
    via, place = get("via"), get("shm")
    if place is not None:
        place = _checked_place(place, len(forms))
        if array_frames:
            raise WireError(f"header: expected no frames of arrays beside 'shm', got {array_frames}")
    elif len(forms) != array_frames:
        raise WireError(f"header: expected an entry in 'arrays' for each of {array_frames} frames")
    return (
        get("schema"),
        sequence,
        Trace(*stamps),
        frame_id,
        epoch,
        budget_ns,
        () if via is None else checked_via(via),
        get("kept") is True,
        place,
        forms,
        fields,
    )


def _unpack_map(frame: Frame) -> dict[str, Any]:
    size = len(frame)
    if size > MAX_HEADER:
        raise WireError(f"header: expected at most {MAX_HEADER} bytes, got {size}")
    most = min(size, MAX_NAMES)  # msgpack makes room for all the items that a list claims before it reads any
    try:
        fields = msgpack.unpackb(frame, max_map_len=most, max_array_len=most, max_bin_len=0, max_ext_len=0)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"header: expected msgpack: {type(error).__name__}: {error}") from error
    if type(fields) is not dict:
        raise WireError(f"header: expected a map, got {type(fields).__name__}")
    return fields


def checked_via(via: Any) -> tuple[str, ...]:
    """Return the names of bridges that a message has passed."""
    if type(via) not in (list, tuple) or len(via) > MAX_VIA or not set(map(type, via)) <= {str}:
        raise WireError(f"header: expected at most {MAX_VIA} texts as 'via', got {shown(via)}")
    if max(map(len, via), default=0) > MAX_VIA_NAME:
        raise WireError(f"header: expected at most {MAX_VIA_NAME} characters in each text of 'via'")
    return tuple(via)


def _checked_place(place: Any, arrays: int) -> Place:
    """Return a place that is one by its form; only the segment itself can tell whether it is there."""
    if type(place) is not list or len(place) != 4:
        raise WireError("header: expected [segment, slot, generation, [offset, ...]] as 'shm'")
    segment, slot, generation, offsets = place
    if type(segment) is not str or len(segment) > _MAX_SEGMENT or not _is_segment(segment):
        raise WireError(f"header: expected the name of a segment in 'shm', got {shown(segment)}")
    if type(slot) is not int or not 0 <= slot < _MAX_SLOTS:
        raise WireError(f"header: expected a slot from 0 to {_MAX_SLOTS - 1} in 'shm', got {shown(slot)}")
    if type(generation) is not int or generation < 1:
        raise WireError(
            f"header: expected a generation from 1 to 2**64 - 1 in 'shm', got {shown(generation)}"
        )
    if type(offsets) is not list or not 0 < len(offsets) == arrays <= MAX_ARRAYS:
        raise WireError(
            f"header: expected an offset in 'shm' for each of {arrays} arrays, 1 to {MAX_ARRAYS}, got "
            f"{shown(offsets)}"
        )
    for offset in offsets:
        if type(offset) is not int or not 0 <= offset < _I64:
            raise WireError(f"header: expected offsets from 0 to 2**63 - 1 in 'shm', got {shown(offset)}")
    return Place(segment, slot, generation, tuple(offsets))
