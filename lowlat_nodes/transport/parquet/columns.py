# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The columns of a table of records: which there are, and which values fit into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Record
from lowlat_nodes.transport.arrays import shown
from lowlat_nodes.transport.dataset.arrow import pyarrow
from lowlat_nodes.transport.records import PUBLISHED

_I64 = 1 << 63


class UnfitRecord(LowlatError):
    """A record has other fields than the table has columns, or values of other types."""


class Columns:
    """Columns for records with certain fields, and for the time of publication.

    Args:
        fields: The type of each field: bool, int (64 bits), float or str, or a mapping of such types, which
            becomes a struct. Everything may be null.

    Attributes:
        schema: The pyarrow schema.

    Raises:
        MissingExtra: If pyarrow is not installed.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        arrow = pyarrow()
        types = {bool: arrow.bool_(), int: arrow.int64(), float: arrow.float64(), str: arrow.string()}

        def columns(kinds: Mapping[str, Any]) -> list[Any]:
            return [
                arrow.field(name, arrow.struct(columns(kind)) if isinstance(kind, Mapping) else types[kind])
                for name, kind in kinds.items()
            ]

        self._kinds = {**fields, PUBLISHED: int}
        self.schema = arrow.schema(columns(self._kinds))

    def row(self, message: Message) -> dict[str, Any]:
        """Return a record as a row.

        Raises:
            UnfitRecord: If it has no place in the table.
        """
        record = message.payload
        if not isinstance(record, Record):
            raise UnfitRecord(f"expected a record, got a payload of type {type(record).__name__}")
        row = {**record.fields, PUBLISHED: message.trace.published_ns or None}
        _check(row, self._kinds, "")
        return row

    def batch(self, rows: list[dict[str, Any]]) -> Any:
        """Return rows as a pyarrow RecordBatch."""
        return pyarrow().RecordBatch.from_pylist(rows, schema=self.schema)


def _check(values: Mapping[str, Any], kinds: Mapping[str, Any], where: str) -> None:
    if values.keys() != kinds.keys():
        odd = values.keys() ^ kinds.keys()
        raise UnfitRecord(
            f"expected the fields {', '.join(kinds)}, got more or less: {shown(sorted(odd, key=str))}"
        )
    for name, value in values.items():
        kind = kinds[name]
        if value is None:
            continue
        if type(kind) is not type:
            if not isinstance(value, dict):
                raise UnfitRecord(f"{where}{name}: expected a mapping, got {shown(value)}")
            _check(value, kind, f"{name}.")
        elif type(value) is not kind or not _storable(value):
            raise UnfitRecord(f"{where}{name}: expected {kind.__name__}, got {shown(value)}")


def _storable(value: object) -> bool:
    """Return whether a value has a form in 64 bits or in UTF-8."""
    if isinstance(value, int):
        return -_I64 <= value < _I64
    if isinstance(value, str) and not value.isascii():
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return True
