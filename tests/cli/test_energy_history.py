# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of energy as CSV and back."""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from energy_host import BEGIN_NS, host, meter, node

from lowlat_nodes.cli.energy_history import COLUMNS, Row, Writer, read, rows
from lowlat_nodes.energy.figures import Cost
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind


def test_each_figure_is_a_row() -> None:
    assert [(row.quantity, row.node, row.unit, row.value) for row in rows(host())] == [
        ("power", "", "W", 30.0),
        ("idle", "", "W", 20.0),
        ("unattributed", "", "W", 4.0),
        ("node", "/detector_node", "W", 6.0),
        ("cost", "/detector_node", "J/detection", 0.5),
    ]
    assert all(row.time_ns == BEGIN_NS and row.kind == "measured" for row in rows(host()))


def test_what_is_not_known_has_no_row() -> None:
    unknown = host(meters=(meter(idle_w=math.nan), meter("gone", kind=Kind.UNAVAILABLE, watts=math.nan)))
    assert [row.quantity for row in rows(unknown)] == ["power", "unattributed", "node", "cost"]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    shared = Cost("rapl/package-0", '1,5 "x"', 0.125, 0.0, "share")
    moments = [host(0.0), host(1.0, nodes=(node("/n,m", shared),), meters=(meter(fake="simulated"),))]
    path = tmp_path / "energy.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = Writer(file)
        for moment in moments:
            writer.add(moment)
    found = read(path)
    expected = [row for moment in moments for row in rows(moment)]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in COLUMNS[:-1]:
            assert getattr(one, name) == getattr(other, name)
        assert one.error == other.error or (math.isnan(one.error) and math.isnan(other.error))
    assert math.isnan(found[-1].error)  # a share has none


HEAD = ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", None),
        ("time,watts\n1,2\n", "expected a file of `lowlat energy show --csv`"),
        (HEAD + "1,2\n", r"line 2: expected 11 cells, got 2"),
        (HEAD + "now,h,m,measured,,power,,,W,1.0,\n", r"line 2: invalid literal"),
        (HEAD + "1,h,m,measured,,guess,,,W,1.0,\n", r"expected one of power, idle"),
        (HEAD + "1,h,m,measured,,power,,,W,inf,\n", r"expected a finite value, got inf"),
        ("\xff", "expected a file"),
    ],
)  # fmt: skip
def test_another_file_is_refused_with_the_line(tmp_path: Path, text: str, why: str | None) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text, encoding="utf-8")
    if why is None:
        assert read(path) == []
        return
    with pytest.raises(ConfigurationError, match=why):
        read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        read(tmp_path / "none.csv")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigurationError, match="cannot read"):
        read(tmp_path / "x.csv")


def test_a_file_is_whole_up_to_its_last_line() -> None:
    out = io.StringIO()
    Writer(out).add(host())
    assert out.getvalue().endswith("\n")
    assert out.getvalue().count("\n") == 1 + len(list(rows(host())))


def test_a_row_has_the_columns_of_the_file() -> None:
    assert tuple(Row.__slots__) == COLUMNS
