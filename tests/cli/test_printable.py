# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Text from outside commands no terminal."""

from __future__ import annotations

import pytest

from lowlat_nodes.cli.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zmq:camera [lowlat/image]", "zmq:camera [lowlat/image]"),
        ("kühl 天", "kühl 天"),
        ("\x1b[2Jgone\r\nnew", "?[2Jgone??new"),
        ("\u202egnp", "?gnp"),
        ("", ""),
    ],
)
def test_what_is_no_letter_is_shown_as_a_question_mark(text: str, shown: str) -> None:
    assert printable(text) == shown
