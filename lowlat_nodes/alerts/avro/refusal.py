# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Why the machine did not read a record, in words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """What was wrong."""

    TRUNCATED = 1
    OVERLONG = 2
    BRANCH = 3
    NEGATIVE = 4
    COUNT = 5
    DEPTH = 6
    ROWS = 7
    MEMORY = 8
    WIDTH = 9
    UTF8 = 10
    SYMBOL = 11
    TRAILING = 12
    SIZE = 13


WORDS = {
    Reason.TRUNCATED: "the record breaks off",
    Reason.OVERLONG: "an integer has more than 64 bits",
    Reason.BRANCH: "a union has no branch {value}",
    Reason.NEGATIVE: "a length is negative: {value}",
    Reason.COUNT: "{value} items are more than the record can hold",
    Reason.DEPTH: "values lie within values over {value} deep",
    Reason.ROWS: "a record has more than {value} rows",
    Reason.MEMORY: "the rows of the batch take more than {value} bytes",
    Reason.WIDTH: "a text has {value} bytes, more than its column takes",
    Reason.UTF8: "a text is not UTF-8",
    Reason.SYMBOL: "an enumeration has no symbol {value}",
    Reason.TRAILING: "{value} bytes follow the record",
    Reason.SIZE: "a record may have {value} bytes",
}


MAX_PATH = 100
"""Characters of a path in a sentence; a schema may have far longer names."""


class Refusal(NamedTuple):
    """One record that was not read.

    Attributes:
        record: Its number in the batch.
        reason: A `Reason`.
        place: Position in the program, -1 where it is no matter of a field.
        at: Position in the body.
        value: The number that was wrong.
    """

    record: int
    reason: int
    place: int
    at: int
    value: int


def explain(refusal: Refusal, places: Sequence[tuple[int, str]]) -> str:
    """Return a sentence that says what was wrong, near which field and at which byte."""
    words = f"{WORDS[Reason(refusal.reason)].format(value=refusal.value)}, at byte {refusal.at}"
    if refusal.place < 0:
        return words
    path = places[bisect_right(places, refusal.place, key=lambda place: place[0]) - 1][1]
    return f"{words} near {path[:MAX_PATH]}" if path else words
