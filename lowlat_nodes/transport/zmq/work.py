# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a sink of work and its workers say to each other: a note, and behind it perhaps a message of a stream.

A note is a msgpack map with a kind and the fields of that kind. docs/work_protocol.md has every byte, and
test vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgpack
import zmq

from lowlat_nodes.stream.requester import foreign_text
from lowlat_nodes.transport.arrays import WireError, shown

VERSION = 1

HELLO, WANT, DONE, REFUSE, BYE = "hello", "want", "done", "refuse", "bye"
"""Kinds of notes of workers."""

WORK, PING, WHO = "work", "ping", "who"
"""Kinds of notes of the sink."""

MAX_NOTE = 1 << 16
MAX_RANGES = 1024
MAX_CREDIT = 4096
"""How many messages a worker may ask for beyond what it has polled."""

MAX_NAME = 64
MAX_REASON = 1000
LEAST_SILENCE_NS = 50_000_000
LONGEST_SILENCE_NS = 3_600_000_000_000

_U64 = 1 << 64

Range = tuple[int, int, int]
"""Epoch, first and last number of messages that follow each other."""


def encode_note(kind: str, **fields: Any) -> bytes:
    """Return the frame of a note."""
    return msgpack.packb({"v": VERSION, "kind": kind, **fields})  # type: ignore[no-any-return]


def decode_note(frame: zmq.Frame) -> tuple[str, dict[str, Any]]:
    """Return the kind of a note and the fields of that kind; ranges as a list of `Range`.

    Raises:
        WireError: If it is too large, malformed, of another version, or lacks a field.
    """
    if len(frame) > MAX_NOTE:
        raise WireError(f"note: expected at most {MAX_NOTE} bytes, got {len(frame)}")
    try:
        fields = msgpack.unpackb(
            frame.buffer, max_map_len=64, max_array_len=MAX_RANGES, max_bin_len=0, max_ext_len=0
        )
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"note: expected msgpack: {type(error).__name__}: {error}") from error
    if not isinstance(fields, dict) or type(fields.get("v")) is not int or fields["v"] != VERSION:
        raise WireError(f"note: expected a map of version {VERSION} as 'v'")
    kind = fields.get("kind")
    readers = _FIELDS.get(kind) if isinstance(kind, str) else None
    if readers is None:
        raise WireError(f"note: expected a kind of {', '.join(_FIELDS)}, got {shown(kind)}")
    return str(kind), {name: reader(fields.get(name)) for name, reader in readers.items()}


def ranges(ids: Iterable[tuple[int, int]]) -> Iterator[Range]:
    """Return ids (epoch, number) that come in rising order as ranges."""
    epoch = first = last = -1
    for one, number in ids:
        if one == epoch and number == last + 1:
            last = number
            continue
        if last >= 0:
            yield epoch, first, last
        epoch, first, last = one, number, number
    if last >= 0:
        yield epoch, first, last


def _u64(value: object) -> int:
    if type(value) is not int or not 0 <= value < _U64:
        raise WireError(f"note: expected a number from 0 to 2**64 - 1, got {shown(value)}")
    return value


def _silence(value: object) -> int:
    if type(value) is not int or not LEAST_SILENCE_NS <= value <= LONGEST_SILENCE_NS:
        raise WireError(f"note: expected {LEAST_SILENCE_NS} to {LONGEST_SILENCE_NS} ns, got {shown(value)}")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise WireError(f"note: expected a name of 1 to {MAX_NAME} printable characters, got {shown(value)}")
    return value


def _reason(value: object) -> str:
    if not isinstance(value, str):
        raise WireError(f"note: expected text, got {shown(value)}")
    return foreign_text(value)


def _ranges(value: object) -> list[Range]:
    if not isinstance(value, list):
        raise WireError(f"note: expected a list of ranges, got {shown(value)}")
    found = []
    for entry in value:
        if not isinstance(entry, list) or len(entry) != 3:
            raise WireError(f"note: expected [epoch, first, last], got {shown(entry)}")
        epoch, first, last = map(_u64, entry)
        if first > last:
            raise WireError(f"note: expected the first before the last, got {shown(entry)}")
        found.append((epoch, first, last))
    return found


_FIELDS: Mapping[str, Mapping[str, Callable[[object], Any]]] = {
    HELLO: {"worker": _name, "session": _u64, "limit": _u64, "silent_ns": _silence, "held": _ranges},
    WANT: {"session": _u64, "limit": _u64},
    DONE: {"ids": _ranges},
    REFUSE: {"epoch": _u64, "seq": _u64, "reason": _reason},
    BYE: {},
    WORK: {"epoch": _u64, "seq": _u64, "session": _u64, "failures": _u64},
    PING: {"epoch": _u64, "waiting": _u64},
    WHO: {},
}
