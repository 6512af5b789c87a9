# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of energy over time as rows of a CSV file: one row for each figure."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TextIO

from lowlat_nodes.cli.energy_table import split
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind

POWER, IDLE, UNATTRIBUTED, NODE, COST = "power", "idle", "unattributed", "node", "cost"
QUANTITIES = (POWER, IDLE, UNATTRIBUTED, NODE, COST)
MAX_ROWS = 1_000_000
"""Of one history: a day of ten figures a second."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure at one time.

    Attributes:
        time_ns: Unix time.
        host: Whose.
        meter: By which meter.
        kind: How that knows: measured or modelled.
        fake: What stands behind it where that is no hardware; empty for a real meter.
        quantity: `power` of all that the meter counts, of which `idle`, `unattributed` and `node` are parts,
            in W; or `cost`, of one result, in J.
        node: Whose figure it is; empty where it is nobody's.
        bucket: Shape bucket of a cost; empty for the only one.
        unit: `W`, or `J/action`, `J/detection`, ... of a cost.
        value: The figure.
        error: Its standard error; NaN for what has none.
    """

    time_ns: int
    host: str
    meter: str
    kind: str
    fake: str
    quantity: str
    node: str
    bucket: str
    unit: str
    value: float
    error: float = math.nan


COLUMNS = tuple(field.name for field in fields(Row))


def rows(figures: Figures) -> Iterator[Row]:
    """Yield the figures of one moment; what is not known has no row."""
    for meter in figures.meters:
        if meter.kind is Kind.UNAVAILABLE or math.isnan(meter.watts):
            continue
        head = (figures.time_ns, figures.host, meter.name, meter.kind.value, meter.fake)
        parts = split(figures, meter)
        yield Row(*head, POWER, "", "", "W", meter.watts)
        if not math.isnan(parts.idle_w):
            yield Row(*head, IDLE, "", "", "W", parts.idle_w)
        yield Row(*head, UNATTRIBUTED, "", "", "W", parts.unattributed_w)
        for node in figures.nodes:
            if meter.name in node.watts:
                yield Row(*head, NODE, node.node, "", "W", node.watts[meter.name])
            for cost in node.costs:
                if cost.meter == meter.name:
                    error = cost.error_j if cost.method == "regression" else math.nan
                    yield Row(*head, COST, node.node, cost.bucket, f"J/{node.unit}", cost.joules, error)


class Writer:
    """Writes rows as they come; a file that is cut off is whole up to its last line.

    Args:
        out: A text file opened with `newline=""`.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._csv = csv.writer(out, lineterminator="\n")
        self._csv.writerow(COLUMNS)

    def add(self, figures: Figures) -> None:
        """Write the rows of one moment."""
        self._csv.writerows([_text(getattr(row, name)) for name in COLUMNS] for row in rows(figures))
        self._out.flush()


def read(path: Path) -> list[Row]:
    """Return the rows of a file.

    Raises:
        ConfigurationError: If it cannot be read, or is no such file; says which line is wrong.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return _parsed(path, csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def _parsed(path: Path, lines: Iterable[list[str]]) -> list[Row]:
    found: list[Row] = []
    for number, cells in enumerate(lines, 1):
        if number == 1:
            if tuple(cells) != COLUMNS:
                raise ConfigurationError(
                    f"{path}: expected a file of `lowlat energy show --csv` with the columns "
                    f"{','.join(COLUMNS)}, got {','.join(cells)[:200]!r}"
                )
            continue
        if number > MAX_ROWS:
            raise ConfigurationError(f"{path}: expected at most {MAX_ROWS} rows; take a part of it")
        try:
            found.append(_row(cells))
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {number}: {error}") from error
    return found


def _row(cells: list[str]) -> Row:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} cells, got {len(cells)}")
    time_ns, host, meter, kind, fake, quantity, node, bucket, unit, value, error = cells
    about = (int(time_ns), host, meter, kind, fake, quantity, node, bucket, unit)
    row = Row(*about, float(value), float(error or math.nan))
    if row.quantity not in QUANTITIES:
        raise ValueError(f"expected one of {', '.join(QUANTITIES)}, got {row.quantity!r}")
    if not math.isfinite(row.value):
        raise ValueError(f"expected a finite value, got {value}")
    return row


def _text(value: str | float) -> int | str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.9g}"
    return value
