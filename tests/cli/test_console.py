# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Lines come whole and labelled, and a reader that sleeps or goes holds nobody up."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lowlat_nodes.cli.console import Console


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def drain(reader: int) -> str:
    parts = []
    try:
        while data := os.read(reader, 1 << 16):
            parts.append(data)
    except BlockingIOError:
        pass
    return b"".join(parts).decode()


def test_lines_carry_their_author(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1])
    console.write("policy", "ready")
    console.write("arm", "größer")
    assert drain(pipe[0]) == "[policy] ready\n[arm] größer\n"


def test_authors_keep_their_colour(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1], colour=True)
    for author in ("a", "b", "a"):
        console.write(author, "x")
    first, second, third = drain(pipe[0]).splitlines()
    assert first == third != second
    assert first.endswith("[a]\x1b[0m x")


def test_a_reader_that_sleeps_costs_lines_which_are_counted(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1])
    line = "x" * 1000
    for _ in range(200):  # a pipe holds 64 kB
        console.write("a", line)
    assert console.dropped > 0
    lines = drain(pipe[0]).splitlines()
    assert set(lines) == {f"[a] {line}"}
    assert len(lines) + console.dropped == 200
    dropped = console.dropped
    console.write("a", "awake")
    assert drain(pipe[0]).splitlines() == [
        f"{dropped} lines were dropped because nobody read them",
        "[a] awake",
    ]


def test_a_reader_that_has_gone_is_no_reason_to_stop() -> None:
    reader, writer = os.pipe()
    console = Console(writer)
    os.close(reader)
    for _ in range(3):
        console.write("a", "x")
    os.close(writer)
