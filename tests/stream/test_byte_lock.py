# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Locks on bytes exclude each other as readers and writers do, and end with their description."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowlat_nodes.stream.byte_lock import ByteLock

FIRST, SECOND = ByteLock(0), ByteLock(1 << 40)


@pytest.fixture
def descriptors(tmp_path: Path) -> Iterator[list[int]]:
    """Two descriptions of one file for writing, then two for reading."""
    path = tmp_path / "file"
    path.touch()
    opened = [os.open(path, flags) for flags in (os.O_RDWR, os.O_RDWR, os.O_RDONLY, os.O_RDONLY)]
    yield opened
    for descriptor in opened:
        os.close(descriptor)


def test_readers_share_and_writers_do_not(descriptors: list[int]) -> None:
    writer, other, reader, another = descriptors
    assert FIRST.share(reader)
    assert FIRST.share(another)
    assert not FIRST.take(writer)
    FIRST.release(reader)
    assert not FIRST.take(writer)
    FIRST.release(another)
    assert FIRST.take(writer)
    assert not FIRST.take(other)
    assert not FIRST.share(reader)
    assert SECOND.share(reader)
    assert SECOND.take(other) is False


def test_who_holds_it_is_told_without_taking_it(descriptors: list[int]) -> None:
    writer, other, reader, _ = descriptors
    assert not FIRST.held(reader)
    assert FIRST.take(writer)
    assert FIRST.held(reader)
    assert not FIRST.held(writer), "one's own"
    FIRST.release(writer)
    assert FIRST.share(reader)
    assert not FIRST.held(other), "shared"


def test_closing_another_description_does_not_drop_it(descriptors: list[int], tmp_path: Path) -> None:
    writer, _, reader, _ = descriptors
    assert FIRST.take(writer)
    os.close(os.open(tmp_path / "file", os.O_RDWR))
    assert not FIRST.share(reader)


def test_it_ends_with_its_last_descriptor(descriptors: list[int]) -> None:
    _, other, reader, another = descriptors
    assert FIRST.share(reader)
    copy = os.dup(reader)
    os.dup2(another, reader)
    assert not FIRST.take(other)
    os.close(copy)
    assert FIRST.take(other)


def test_what_cannot_be_locked_raises(descriptors: list[int]) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        FIRST.take(descriptors[2])
