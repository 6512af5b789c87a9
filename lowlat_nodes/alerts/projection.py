# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What to read of an alert: scalars and tables, by their names in the writer's schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """One value to read.

    Attributes:
        path: Names of the fields that lead to it, from the record or, in a table, from the row.
        dtype: f8 takes numbers and booleans, null becomes NaN; i8 takes integers and booleans, null becomes
            the least int64; S8, S32 and so on take strings and enumerations of up to so many bytes, null
            becomes the empty string.
    """

    path: tuple[str, ...]
    dtype: str


@dataclass(frozen=True)
class Table:
    """An array of records to read; null and missing rows make it shorter.

    Attributes:
        path: Names of the fields that lead to the array.
        columns: What to read of each row, by our name.
    """

    path: tuple[str, ...]
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class Projection:
    """What to read of a record.

    Attributes:
        scalars: Single values, by our name.
        tables: Arrays of records, by our name.
    """

    scalars: Mapping[str, Column]
    tables: Mapping[str, Table] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Rows:
    """A table of n records, one after another: record i has the rows offsets[i] to offsets[i + 1].

    Attributes:
        offsets: int64 [n + 1].
        columns: One array of all rows for each column.
    """

    offsets: NDArray[np.int64]
    columns: dict[str, np.ndarray]


@dataclass(slots=True, eq=False)
class Decoded:
    """What was read of n records.

    Attributes:
        scalars: One array [n] for each scalar.
        tables: The rows of each table.
        refused: Why a record could not be read, by its number; it then has null values and no rows.
    """

    scalars: dict[str, np.ndarray]
    tables: dict[str, Rows]
    refused: dict[int, str]
