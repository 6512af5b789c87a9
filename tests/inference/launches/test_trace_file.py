# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Events of trace files: whole, packed, cut off, and made to do harm."""

from __future__ import annotations

import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.inference.launches import trace_file
from lowlat_nodes.inference.launches.trace_file import Events, open_trace
from lowlat_nodes.stream.errors import ConfigurationError

EVENTS = [
    {"ph": "X", "name": f'kernel {number} {{["µ\\', "args": {"a": [number, []]}} for number in range(50)
]


def read(text: str, piece: int = 1 << 18) -> tuple[list[Any], bool]:
    class Pieces(io.StringIO):
        def read(self, _size: int | None = None, /) -> str:
            return super().read(piece)

    events = Events(Pieces(text), "a.json")
    return list(events), events.complete


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 18])
@pytest.mark.parametrize("indent", [None, 2])
def test_events_are_read_in_pieces_of_any_size(piece: int, indent: int | None) -> None:
    plain = json.dumps(EVENTS, indent=indent)
    assert read(plain, piece) == (EVENTS, True)
    inside = json.dumps({"head": {"a": [1]}, "traceEvents": EVENTS, "tail": [{"ph": "X"}]}, indent=indent)
    assert read(inside, piece) == (EVENTS, True)


def test_no_events_are_a_trace() -> None:
    assert read("[]") == ([], True)
    assert read('{"traceEvents": [ ] }') == ([], True)


def test_a_trace_that_was_cut_off_gives_what_is_there() -> None:
    text = json.dumps({"traceEvents": EVENTS})
    chosen = random.Random(5)
    for end in [text.index("[") + 1, *(chosen.randrange(20, len(text) - 3) for _ in range(40))]:
        found, complete = read(text[:end], 100)
        assert not complete
        assert found == EVENTS[: len(found)]
        assert len(json.dumps(EVENTS[: len(found) + 1])) + 16 > end - 2


def test_what_is_no_json_ends_the_trace() -> None:
    assert read('[{"a": 1}, {"b": nonsense}, {"c": 2}]') == ([{"a": 1}], False)
    assert read('[{"a": 1}, {"b": ' + "9" * 5000 + "}]") == ([{"a": 1}], False)


def test_control_characters_in_names_are_read() -> None:
    assert read('[{"name": "a\tb\x01"}]') == ([{"name": "a\tb\x01"}], True)


@pytest.mark.parametrize("text", ["", "{}", '{"traceEvents": {}}', "no trace", "\x00\x01", '"traceEvents"'])
def test_what_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.json: expected a trace, a JSON array"):
        read(text)


def test_an_event_without_end_is_not_held_in_memory() -> None:
    class Endless:
        given = 0

        def read(self, size: int, /) -> str:
            self.given += size
            return '[{"a": "' + "x" * size if self.given == size else "x" * size

    text = Endless()
    events = Events(text, "a.json")
    assert list(events) == []
    assert not events.complete
    assert text.given <= trace_file.LONGEST_EVENT + (1 << 20)


def test_a_head_without_end_is_not_held_in_memory() -> None:
    class Endless:
        given = 0

        def read(self, size: int, /) -> str:
            self.given += size
            return "{" if self.given == size else " " * size

    text = Endless()
    with pytest.raises(ConfigurationError, match="found none"):
        list(Events(text, "a.json"))
    assert text.given < 20 << 20


def test_events_nested_too_deep_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"a\.json: expected events, got one nested too deep"):
        read("[" + "[" * 200_000)


def test_a_trace_larger_than_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "MOST_CHARACTERS", 1000)
    with pytest.raises(ConfigurationError, match="expected a trace of at most 1000 characters"):
        read(json.dumps(EVENTS), 300)


def test_files_may_be_packed_and_cut_off(tmp_path: Path) -> None:
    text = json.dumps(EVENTS)
    plain, packed, cut = tmp_path / "a.json", tmp_path / "a.trace", tmp_path / "b.gz"
    plain.write_text(text, encoding="utf-8")
    packed.write_bytes(gzip.compress(text.encode()))
    cut.write_bytes(packed.read_bytes()[:-20])
    for path, whole in ((plain, True), (packed, True), (cut, False)):
        with open_trace(path) as file:
            events = Events(file, path.name)
            found = list(events)
        assert events.complete == whole
        assert found == EVENTS if whole else found == EVENTS[: len(found)]


def test_other_bytes_are_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"\x1f\x8bnot packed", bytes(range(256)) * 9):
        path.write_bytes(content)
        with open_trace(path) as file, pytest.raises(ConfigurationError, match="found none"):
            list(Events(file, path.name))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigurationError, match=f"expected a trace file, cannot read {path}"):
            open_trace(path)
