# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The pyarrow library, imported when a dataset is touched, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.transport.dataset.errors import DatasetError


def pyarrow() -> Any:
    """Return the module `pyarrow`, with `pyarrow.parquet` loaded.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtra("pyarrow", extra="dataset") from error
    return pa


@contextmanager
def touching(path: Path) -> Iterator[None]:
    """Turn what the disk and pyarrow raise about a file into a DatasetError that names it."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or error}") from error
    except pyarrow().ArrowException as error:
        raise DatasetError(f"{path}: expected a Parquet file of a dataset: {error}") from error
