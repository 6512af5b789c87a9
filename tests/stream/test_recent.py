# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest keys are remembered, no more of them than asked for."""

from __future__ import annotations

from lowlat_nodes.stream.recent import Recent


def test_the_oldest_is_forgotten_first() -> None:
    recent = Recent(2)
    for key in (b"a", b"b", b"c"):
        recent.add(key)
    assert [key in recent for key in (b"a", b"b", b"c")] == [False, True, True]
    assert len(recent) == 2


def test_what_comes_again_is_as_old_as_it_was() -> None:
    recent = Recent(2)
    for key in (b"a", b"b", b"a", b"c"):
        recent.add(key)
    assert [key in recent for key in (b"a", b"b", b"c")] == [False, True, True]
    assert len(recent) == 2


def test_nothing_is_remembered_where_none_is_asked_for() -> None:
    recent = Recent(0)
    recent.add(b"a")
    assert b"a" not in recent
    assert not len(recent)
