# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames of one ZeroMQ message as the data of one MCAP message.

In front are u32 numbers, little-endian: how many frames, and the length of each. The frames follow, back to
back, as they were on the wire.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from lowlat_nodes.transport.bag.errors import BagError

ENCODING = "lowlat_frames"
"""Message encoding of a channel of such messages."""

TYPE_PREFIX = "lowlat/"
"""What the types of such messages begin with; the schema of the message follows."""

MAX_FRAMES = 64

_COUNT = struct.Struct("<I")


def is_framed(type_name: str) -> bool:
    """Return whether messages of a type are frames of ZeroMQ."""
    return type_name.startswith(TYPE_PREFIX)


def pack(frames: Sequence[bytes | memoryview]) -> bytes:
    """Return frames as the data of a message."""
    head = struct.pack(f"<{1 + len(frames)}I", len(frames), *map(len, frames))
    return b"".join((head, *frames))


def unpack(data: bytes) -> list[memoryview]:
    """Return the frames in the data of a message, as read-only views.

    Raises:
        BagError: If it is no such data.
    """
    count = _COUNT.unpack_from(data)[0] if len(data) >= _COUNT.size else 0
    start = _COUNT.size * (1 + count)
    if not 0 < count <= MAX_FRAMES or len(data) < start:
        raise BagError(
            f"expected 1 to {MAX_FRAMES} frames and their lengths, got {count} in {len(data)} bytes"
        )
    lengths = struct.unpack_from(f"<{count}I", data, _COUNT.size)
    if start + sum(lengths) != len(data):
        raise BagError(f"expected frames of {sum(lengths)} bytes, {len(data) - start} came with them")
    frames = []
    view = memoryview(data)
    for length in lengths:
        frames.append(view[start : start + length])
        start += length
    return frames
