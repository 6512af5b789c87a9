# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls of methods by name: a header, and behind it content that only caller and method understand.

Frames: [header] [content 0] [content 1] ... The header is a msgpack map. docs/call_protocol.md has every
byte, and test vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import zmq

from lowlat_nodes.transport.arrays import WireError, shown

VERSION = 1
CALL, REPLY, ERROR = "call", "reply", "error"

MAX_HEADER = 1 << 13
_MAX_CONTENT = 16
"""Frames of content: a message of a stream has at most 10."""

MAX_FRAMES = 1 + _MAX_CONTENT
_MAX_METHOD = 255
MAX_TEXT = 1000
_LONGEST_BUDGET_NS = 3_600_000_000_000

_U64 = 1 << 64

Content = Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class CallHeader:
    """What a message is.

    Attributes:
        kind: `CALL`, `REPLY` or `ERROR`.
        number: Of the call, chosen by the caller; the answer repeats it. u64.
        method: Name of the method, in calls.
        budget_ns: Time from arrival until the reply is of no use, in calls; 0 where there is no limit.
        text: Why there is no reply, in errors.
    """

    kind: str
    number: int
    method: str = ""
    budget_ns: int = 0
    text: str = ""


def encode_call(
    number: int, method: str, content: Content, *, budget_ns: int = 0
) -> list[bytes | memoryview]:
    """Return the frames of a call.

    Raises:
        WireError: If the name of the method is none, or the content has too many frames.
    """
    if not 0 < len(method.encode()) <= _MAX_METHOD:
        raise WireError(f"expected the name of a method of 1 to {_MAX_METHOD} bytes, got {method[:20]!r}")
    header: dict[str, Any] = {"v": VERSION, "kind": CALL, "id": number, "method": method}
    if budget_ns:
        header["budget_ns"] = min(budget_ns, _LONGEST_BUDGET_NS)
    return [msgpack.packb(header), *_checked(content)]


def encode_reply(number: int, content: Content) -> list[bytes | memoryview]:
    """Return the frames of a reply.

    Raises:
        WireError: If the content has too many frames.
    """
    return [msgpack.packb({"v": VERSION, "kind": REPLY, "id": number}), *_checked(content)]


def encode_error(number: int, text: str) -> list[bytes | memoryview]:
    """Return the frames that tell why there is no reply."""
    text = text[:MAX_TEXT].encode(errors="replace").decode()
    return [msgpack.packb({"v": VERSION, "kind": ERROR, "id": number, "text": text})]


def decode_header(frames: Sequence[zmq.Frame]) -> CallHeader:
    """Return what the first frame of a message says; the others are only counted.

    Raises:
        WireError: If it is malformed or of another version, or too many frames came.
    """
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"expected 1 to {MAX_FRAMES} frames, got {len(frames)}")
    if len(frames[0]) > MAX_HEADER:
        raise WireError(f"header: expected at most {MAX_HEADER} bytes, got {len(frames[0])}")
    try:
        fields = msgpack.unpackb(
            frames[0].buffer, max_map_len=64, max_array_len=64, max_bin_len=0, max_ext_len=0
        )
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"header: expected msgpack: {type(error).__name__}: {error}") from error
    if not isinstance(fields, dict) or type(fields.get("v")) is not int or fields["v"] != VERSION:
        raise WireError(f"header: expected a map of version {VERSION} as 'v'")
    kind, number = fields.get("kind"), fields.get("id")
    if kind not in (CALL, REPLY, ERROR):
        raise WireError(f"header: expected {CALL}, {REPLY} or {ERROR} as 'kind', got {shown(kind)}")
    if type(number) is not int or not 0 <= number < _U64:
        raise WireError("header: expected an id from 0 to 2**64 - 1")
    method, budget_ns, text = fields.get("method", ""), fields.get("budget_ns", 0), fields.get("text", "")
    if not isinstance(method, str) or len(method.encode()) > _MAX_METHOD or (kind == CALL and not method):
        raise WireError(f"header: expected 'method' as text of 1 to {_MAX_METHOD} bytes, got {shown(method)}")
    if type(budget_ns) is not int or not 0 <= budget_ns <= _LONGEST_BUDGET_NS:
        raise WireError(f"header: expected 'budget_ns' from 0 to {_LONGEST_BUDGET_NS}")
    if not isinstance(text, str):
        raise WireError(f"header: expected 'text' as text, got {shown(text)}")
    return CallHeader(kind, number, method, budget_ns, text)


def content(frames: Sequence[zmq.Frame]) -> list[memoryview]:
    """Return the content of a message, in the memory of its frames."""
    return [frame.buffer for frame in frames[1:]]


def _checked(content: Content) -> Content:
    if len(content) > _MAX_CONTENT:
        raise WireError(f"expected at most {_MAX_CONTENT} frames of content, got {len(content)}")
    return content
