# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a payload lies in shared memory, as a message tells."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where the arrays of one message lie.

    Attributes:
        segment: Name of the segment, without a folder.
        slot: Number of the slot in it.
        generation: Counts what was written into the segment, from 1; the slot holds the message as long as it
            has this number.
        offsets: Where each array begins, in bytes from the beginning of the slot.
    """

    segment: str
    slot: int
    generation: int
    offsets: tuple[int, ...]
