# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What every survey's part has in common: choosing what to read, and what it makes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.avro.schema import Array, Record, Type, Union
from lowlat_nodes.alerts.epochs import Epochs
from lowlat_nodes.alerts.projection import Column, Decoded, Projection, Rows, Table
from lowlat_nodes.stream.errors import LowlatError

Path = tuple[str, ...]
Paths = Collection[Path]

NULL = np.iinfo(np.int64).min
"""What integers are read as that are null."""


class UnknownSurvey(LowlatError):
    """A schema is of no survey that is known here, or lacks what a light curve needs."""


@dataclass(slots=True, eq=False)
class Alerts:
    """What n records of one schema say.

    Attributes:
        alert_id: int64 [n], `NULL` where there is none.
        object_id: n names.
        version: n versions of the survey's schema, as in 4.02, empty where there is none.
        epochs: All epochs of all alerts.
    """

    alert_id: NDArray[np.int64]
    object_id: list[str]
    version: list[str]
    epochs: Epochs


class Survey(Protocol):
    """What the records of one schema hold, and what it means."""

    @property
    def name(self) -> str:
        """Return the name of the survey."""
        ...

    @property
    def mark(self) -> Path:
        """Return the field that tells a schema of this survey from those of others."""
        ...

    @property
    def majors(self) -> tuple[int, ...]:
        """Return which versions of the survey's schema are known here, by the number before the point."""
        ...

    @property
    def projection(self) -> Projection:
        """Return what to read."""
        ...

    def interpret(self, decoded: Decoded) -> Alerts:
        """Return what the records say."""
        ...


def pick(paths: Paths, dtype: str, *names: Path) -> Column | None:
    """Return a column of the first of some names that a schema has, None where it has none."""
    return next((Column(name, dtype) for name in names if name in paths), None)


def table(paths: Paths, path: Path, columns: Mapping[str, tuple[str, Iterable[str]]]) -> Table | None:
    """Return a table, None where a schema has not all of its columns.

    Args:
        paths: Of the schema.
        path: Of the array.
        columns: Dtype and possible names of each column.
    """
    found = {}
    for name, (dtype, choices) in columns.items():
        choice = next((choice for choice in choices if (*path, choice) in paths), None)
        if choice is None:
            return None
        found[name] = Column((choice,), dtype)
    return Table(path, found)


def types_at(schema: Type, path: Path) -> Iterator[Type]:
    """Yield the types that a value may have, through records, unions and the items of arrays."""
    if isinstance(schema, Union):
        for branch in schema.branches:
            yield from types_at(branch, path)
    elif isinstance(schema, Array):
        yield from types_at(schema.items, path)
    elif not path:
        yield schema
    elif isinstance(schema, Record) and path[0] in schema.fields:
        yield from types_at(schema.fields[path[0]], path[1:])


def alert_of_rows(rows: Rows) -> NDArray[np.int64]:
    """Return the number of the record that each row belongs to: int64 [rows]."""
    return np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))


def letters(words: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """Return the bytes of each word, zeros behind its end: uint8 [n, size]."""
    return words.view(np.uint8).reshape(len(words), words.dtype.itemsize)
