# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One Parquet file of records, there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.dataset.arrow import pyarrow
from lowlat_nodes.transport.parquet.columns import Columns

if TYPE_CHECKING:
    from typing_extensions import Self

_GROUP_ROWS = 10_000


class ParquetFile:
    """Writes records to a file, which gets its name when the block ends without an error.

    Args:
        path: The file; an older one is replaced.
        fields: The type of each field of the records, see `Columns`.

    Raises:
        ConfigurationError: If it cannot be written.
        MissingExtra: If pyarrow is not installed.
    """

    def __init__(self, path: Path, fields: Mapping[str, Any]) -> None:
        self._columns = Columns(fields)
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._rows: list[dict[str, Any]] = []
        try:
            self._writer = pyarrow().parquet.ParquetWriter(
                self._temporary, self._columns.schema, compression="zstd"
            )
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error

    def write(self, messages: Iterable[Message]) -> None:
        """Add records.

        Raises:
            UnfitRecord: If one has other fields, or values of other types.
            OSError: If the disk takes no more.
        """
        self._rows.extend(map(self._columns.row, messages))
        if len(self._rows) >= _GROUP_ROWS:
            self._write_group()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._writer:
                if error is None:
                    self._write_group()
            if error is None:
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _write_group(self) -> None:
        if self._rows:
            self._writer.write_batch(self._columns.batch(self._rows))
            self._rows = []
