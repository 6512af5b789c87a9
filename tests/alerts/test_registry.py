# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas by number or name: from files, from a registry, and how often either is bothered."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.alerts.avro.schema import MAX_BYTES
from lowlat_nodes.alerts.registry import MOST_MISSING, SchemaRegistry, UnknownSchema
from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.errors import ConfigurationError


class Registry:
    """Counts how often it is asked."""

    def __init__(self, schemas: dict[int, bytes], answers: bool = True) -> None:
        self.schemas = schemas
        self.answers = answers
        self.asked: list[int] = []

    def __call__(self, number: int) -> bytes:
        self.asked.append(number)
        if not self.answers:
            raise TimeoutError("timed out")
        return self.schemas[number]


@pytest.mark.parametrize(
    "name", ["900.avsc", "9_0.avsc", "lsst.v9_0.alert.avsc", "lsst_v9_0.schema.json", "9_0.json"]
)
def test_names_of_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nine")
    (tmp_path / "1002.avsc").write_bytes(b"ten")
    (tmp_path / "README.md").write_bytes(b"?")
    registry = SchemaRegistry(tmp_path)
    assert registry.by_number(900) == b"nine"
    assert registry.by_number(1002) == b"ten"
    assert registry.by_name(name.rpartition(".")[0].encode()) == b"nine"
    with pytest.raises(UnknownSchema, match="901: no file has it, and no registry is set"):
        registry.by_number(901)
    assert registry.by_name(b"README") is None
    assert registry.by_name(b"../900") is None


def test_without_a_folder_and_a_registry() -> None:
    registry = SchemaRegistry()
    assert registry.by_name(b"name") is None
    with pytest.raises(UnknownSchema, match="unknown schema 1"):
        registry.by_number(1)


def test_a_folder_that_goes_away_is_a_reason_and_what_was_in_it_comes_back(tmp_path: Path) -> None:
    folder, away, clock = tmp_path / "schemas", tmp_path / "away", ManualClock(0)
    folder.mkdir()
    registry = SchemaRegistry(folder, retry_s=1.0, clock=clock)
    folder.rename(away)
    with pytest.raises(UnknownSchema, match=r"the folder of schemas .* cannot be read: No such file"):
        registry.by_number(900)
    away.rename(folder)
    (folder / "900.avsc").write_bytes(b"nine")
    clock.advance(1_000_000_000)
    assert registry.by_number(900) == b"nine"


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a folder"):
        SchemaRegistry(tmp_path / "schemas")


def test_files_may_come_later(tmp_path: Path) -> None:
    clock = ManualClock()
    registry = SchemaRegistry(tmp_path, retry_s=60.0, clock=clock)
    with pytest.raises(UnknownSchema):
        registry.by_number(900)
    (tmp_path / "900.avsc").write_bytes(b"nine")
    with pytest.raises(UnknownSchema):
        registry.by_number(900)
    clock.advance(int(61e9))
    assert registry.by_number(900) == b"nine"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "900.avsc").write_bytes(bytes(MAX_BYTES + 1))
    (tmp_path / "901.avsc").mkdir()
    registry = SchemaRegistry(tmp_path)
    with pytest.raises(UnknownSchema, match="has more"):
        registry.by_number(900)
    with pytest.raises(UnknownSchema, match="cannot be read"):
        registry.by_number(901)


def test_files_come_before_the_registry(tmp_path: Path) -> None:
    (tmp_path / "900.avsc").write_bytes(b"nine")
    asked = Registry({901: b"new"})
    registry = SchemaRegistry(tmp_path, asked)
    assert registry.by_number(900) == b"nine"
    assert registry.by_number(901) == b"new"
    assert asked.asked == [901]


def test_an_unknown_number_is_asked_for_once_in_a_while() -> None:
    clock, asked = ManualClock(), Registry({})
    registry = SchemaRegistry(fetch=asked, retry_s=60.0, clock=clock)
    for _ in range(100):
        with pytest.raises(UnknownSchema, match="unknown schema 7"):
            registry.by_number(7)
    assert asked.asked == [7]
    clock.advance(int(61e9))
    asked.schemas[7] = b"seven"
    assert registry.by_number(7) == b"seven"


def test_a_registry_that_does_not_answer_is_left_alone_for_a_while() -> None:
    clock, asked = ManualClock(), Registry({1: b"one"}, answers=False)
    registry = SchemaRegistry(fetch=asked, retry_s=60.0, clock=clock)
    for number in (1, 2, 3):
        with pytest.raises(UnknownSchema, match="does not answer: timed out"):
            registry.by_number(number)
    assert asked.asked == [1]
    asked.answers = True
    clock.advance(int(61e9))
    assert registry.by_number(1) == b"one"


def test_unknown_numbers_are_remembered_within_bounds() -> None:
    asked = Registry({})
    registry = SchemaRegistry(fetch=asked)
    for number in range(2 * MOST_MISSING):
        with pytest.raises(UnknownSchema):
            registry.by_number(number)
    assert len(registry._missing) == MOST_MISSING
