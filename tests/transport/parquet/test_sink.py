# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Records in Parquet files: what is in them, when they appear, and what a kill leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Record, Text
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.parquet.columns import UnfitRecord
from lowlat_nodes.transport.parquet.sink import ParquetSink

pytestmark = pytest.mark.dataset
parquet = pytest.importorskip("pyarrow.parquet")

FIELDS = {"survey": str, "number": int, "best": str, "moving": bool, "p": {"SN Ia": float, "SN II": float}}


def message(number: int, **changes: Any) -> Message:
    fields = {"survey": "ztf", "number": number, "best": None, "moving": True}
    fields["p"] = {"SN Ia": 0.25, "SN II": None}
    return Message("results", Record(fields | changes), Trace(published_ns=7))


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Callable[..., ParquetSink]]:
    """Return a maker of sinks that are closed in the end."""
    made: list[ParquetSink] = []

    def make(**settings: Any) -> ParquetSink:
        made.append(ParquetSink(tmp_path / "out", FIELDS, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_records_become_rows(tmp_path: Path, sink: Callable[..., ParquetSink]) -> None:
    made = sink()
    for number in (1, 2**63 - 1):
        made.write(message(number, survey="ztf é"))
    made.close()
    (name,) = names(tmp_path / "out")
    table = parquet.read_table(tmp_path / "out" / name)
    assert str(table.schema).splitlines() == [
        "survey: string",
        "number: int64",
        "best: string",
        "moving: bool",
        "p: struct<SN Ia: double, SN II: double>",
        "  child 0, SN Ia: double",
        "  child 1, SN II: double",
        "published_ns: int64",
    ]
    assert table.to_pylist()[1] == {
        "survey": "ztf é",
        "number": 2**63 - 1,
        "best": None,
        "moving": True,
        "p": {"SN Ia": 0.25, "SN II": None},
        "published_ns": 7,
    }


def test_a_folder_without_records_stays_empty(tmp_path: Path, sink: Callable[..., ParquetSink]) -> None:
    sink().flush(1)
    sink().close()
    assert names(tmp_path / "out") == []


def test_a_file_appears_when_it_has_its_rows(tmp_path: Path, sink: Callable[..., ParquetSink]) -> None:
    made = sink(rows=4)
    for number in range(10):
        made.write(message(number))
        made.flush(1)
        assert len(rows(tmp_path / "out")) == (number + 1) // 4 * 4
    made.close()
    assert [row["number"] for row in rows(tmp_path / "out")] == list(range(10))
    assert len(names(tmp_path / "out")) == 3


def test_a_file_appears_when_its_time_has_come(tmp_path: Path, sink: Callable[..., ParquetSink]) -> None:
    made = sink(seconds=0.05)
    made.write(message(1))
    made.flush(1)
    deadline = time.monotonic() + 60
    while not rows(tmp_path / "out") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(rows(tmp_path / "out")) == 1


def test_nothing_but_whole_files_has_a_name_that_readers_see(
    tmp_path: Path, sink: Callable[..., ParquetSink]
) -> None:
    made = sink()
    made.write(message(1))
    made.flush(1)
    assert all(name.startswith(".") for name in names(tmp_path / "out"))


def test_the_journal_of_a_living_sink_is_left_alone(tmp_path: Path, sink: Callable[..., ParquetSink]) -> None:
    first = sink()
    first.write(message(1))
    first.flush(1)
    sink().close()
    assert rows(tmp_path / "out") == []
    first.close()
    assert len(rows(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (Text("a"), "expected a record, got a payload of type Text"),
        (Record({}), "expected the fields survey, number, .*got more or less"),
        (message(1, more=1).payload, r"more or less: \['more'\]"),
        (message("1").payload, "number: expected int, got '1'"),  # type: ignore[arg-type]
        (message(2**63).payload, "number: expected int"),
        (message(1, moving=1).payload, "moving: expected bool, got 1"),
        (message(1, survey="\ud800").payload, "survey: expected str"),
        (message(1, p=0.5).payload, "p: expected a mapping, got 0.5"),
        (message(1, p={"SN Ia": 1, "SN II": 0.0}).payload, "p.SN Ia: expected float, got 1"),
        (message(1, p={"SN Ia": 1.0}).payload, "expected the fields SN Ia, SN II"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(
    tmp_path: Path, sink: Callable[..., ParquetSink], payload: Any, reason: str
) -> None:
    made = sink()
    with pytest.raises(UnfitRecord, match=reason):
        made.write(Message("results", payload))
    made.write(message(1))
    made.close()
    assert len(rows(tmp_path / "out")) == 1


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write to"):
        ParquetSink(tmp_path / "file", FIELDS)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_sink import FIELDS, message
from lowlat_nodes.transport.parquet.sink import ParquetSink
sink = ParquetSink(Path(sys.argv[2]), FIELDS, rows=40)
number = 0
while True:
    for _ in range(7):
        sink.write(message(number))
        number += 1
    sink.flush(1)
    print(number, flush=True)
"""


def test_what_was_flushed_survives_a_kill_and_no_file_is_half(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    arguments = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    flushed = int(lines[-1])
    assert len(rows(folder)) >= flushed // 40 * 40 - 40  # every file that has a name can be read
    ParquetSink(folder, FIELDS).close()
    numbers = [row["number"] for row in rows(folder)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= flushed
    assert not [name for name in names(folder) if name.startswith(".")]
