# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What reading a message gives, and what makes up the codec of a type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.transport.cdr.wire import Reader, Writer


@dataclass(frozen=True, slots=True)
class Decoded:
    """One message without its transport.

    Attributes:
        stamp_ns: The header stamp; None for a type without header.
        frame_id: The header frame, empty for a type without header.
        payload: A type of `lowlat_nodes.stream.payload`, or float64 [n] for Float64MultiArray.
    """

    stamp_ns: int | None
    frame_id: str
    payload: Any


@dataclass(frozen=True)
class Codec:
    """How messages of one type are read and written.

    Attributes:
        payload: What `write` takes.
        write: Writes the payload with the stamp and frame of its header.
        read: Reads a message; None for a type that is only ever shown, which says less than its payload.
    """

    payload: type
    write: Callable[[Writer, int, str, Any], bytes]
    read: Callable[[Reader], Decoded] | None
