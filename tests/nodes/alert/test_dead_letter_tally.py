# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Dead letters are counted by kind, and the first of each is told."""

from __future__ import annotations

import pytest

from lowlat_nodes.nodes.alert.dead_letter_tally import MOST_KINDS, OTHER, DeadLetterTally, kind_of
from lowlat_nodes.stream.delivery import DEAD_LETTERS
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet


def letter(reason: str, origin: str = "") -> Message:
    return Message(DEAD_LETTERS, DeadLetter(Packet(b"packet", origin=origin), reason))


def test_the_first_of_each_kind_is_told() -> None:
    told: list[str] = []
    tally = DeadLetterTally(told.append, kept=True)
    for reason in ("unknown schema 7: no file has it", "unknown schema 8: no file has it", "TypeError: no"):
        tally.write(letter(reason, "ztf[0]@5"))
    tally.close()
    assert tally.counts.snapshot() == {"unknown schema": 2, "TypeError": 1}
    assert tally.newest == "TypeError: no"
    assert told == [
        "the first dead letter of its kind: ztf[0]@5: unknown schema 7: no file has it",
        "the first dead letter of its kind: ztf[0]@5: TypeError: no",
    ]


def test_it_is_said_that_nobody_keeps_them() -> None:
    told: list[str] = []
    DeadLetterTally(told.append, kept=False).write(letter("odd"))
    assert told == ["the first dead letter of its kind (only counted: no output takes them): odd"]


def test_reasons_that_come_from_outside_do_not_fill_the_memory() -> None:
    told: list[str] = []
    tally = DeadLetterTally(told.append, kept=True)
    names = ["".join(chr(ord("a") + int(digit)) for digit in str(number)) for number in range(1000)]
    for name in names:
        tally.write(letter(f"{name}: unknown type"))
    assert len(told) == MOST_KINDS
    assert tally.counts[OTHER] == 1000 - MOST_KINDS
    assert tally.counts.total == 1000


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("unknown schema 900: no file has it", "unknown schema"),
        ("expected version 3, 4 of the schema of ztf, got 9.1", "expected version"),
        (
            "the epoch that raised the alert is unusable: MJD nan",
            "the epoch that raised the alert is unusable",
        ),
        ("'odd'", OTHER),
        ("", OTHER),
        ("a" * 100, "a" * 60),
    ],
)
def test_reasons_are_counted_by_what_they_have_in_common(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind
