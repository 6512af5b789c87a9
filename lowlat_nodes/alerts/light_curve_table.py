# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves of any survey from a table with a row for each epoch, .csv or .parquet."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.epochs import (
    DETECTION,
    DETECTION_SIGMA,
    FORCED,
    LAST_MJD,
    LIMIT,
    Epochs,
    in_order,
    usable,
)
from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT, LightCurves
from lowlat_nodes.alerts.passbands import CODES, NAMES
from lowlat_nodes.alerts.photometry import SHORT_NAMES
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

SUFFIXES = (".csv", ".parquet")

VERSION = "1"
"""Of the columns below, where results tell the version of a schema."""

MAX_ROWS = 20_000_000

_ID, _MJD, _BAND, _FLUX, _MAG, _ERROR, _LIMIT, _DETECTED = (
    "id", "mjd", "band", "flux", "mag", "error", "limit", "detected",
)  # fmt: skip
_NEEDED = (_ID, _MJD, _BAND, _ERROR)
_PER_MAG = math.log(10.0) / 2.5


@dataclass(frozen=True, slots=True, eq=False)
class LightCurveTable:
    """What a table holds.

    Attributes:
        light_curves: In the order in which their ids first appear; the numbers of the alerts count from 0.
        unusable_epochs: How many rows had no finite value, or no error above 0, and were left out.
    """

    light_curves: LightCurves
    unusable_epochs: int


def read_table(path: Path) -> LightCurveTable:
    """Read a table of epochs, in any order.

    ============ ==========================================================================================
    id           name of the object, text or number
    mjd          time, days
    band         a name of `passbands`, such as ztf_g, or a short one of `photometry`
    flux         difference to the template, nJy (AB)
    mag          AB magnitude, instead of flux; empty where nothing was detected
    error        standard deviation of flux or mag, in the same unit
    detected     0 or 1, optional; without, what is 5 errors from 0, or has a magnitude
    limit        AB magnitude of 5 sigma where mag is empty, optional
    ============ ==========================================================================================

    Further columns are ignored.

    Raises:
        ConfigurationError: If it is no such table.
        MissingExtra: If it is a .parquet file and pyarrow is not installed.
    """
    try:
        columns = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    _check(path, columns)
    names, number = _numbered(columns[_ID])
    epochs = _epochs(path, columns, number)
    good = usable(epochs)
    epochs = in_order(epochs.take(good))
    offsets = np.zeros(len(names) + 1, np.int64)
    np.cumsum(np.bincount(epochs.alert, minlength=len(names)), out=offsets[1:])
    curves = LightCurves(
        np.arange(len(names)),
        names,
        offsets,
        epochs.mjd,
        epochs.band,
        epochs.flux_njy,
        epochs.error_njy,
        epochs.kind == DETECTION,
    )
    return LightCurveTable(curves, int(np.count_nonzero(~good)))


def _read_csv(path: Path) -> dict[str, Sequence[Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            names = [name.strip().lower() for name in next(rows, [])]
            columns: list[list[str]] = [[] for _ in names]
            for row in rows:
                if not row:
                    continue
                if len(row) != len(names) or len(columns[0]) >= MAX_ROWS:
                    raise ConfigurationError(
                        f"{path}, line {rows.line_num}: expected {len(names)} values and up to {MAX_ROWS} "
                        f"rows, got {len(row)}"
                    )
                for column, value in zip(columns, row, strict=True):
                    column.append(value.strip())
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: expected comma-separated values in UTF-8: {error}") from error
    return dict(zip(names, columns, strict=True))


def _read_parquet(path: Path) -> dict[str, Sequence[Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtra("pyarrow", "dataset") from error
    try:
        with pa.parquet.ParquetFile(path) as file:
            if file.metadata.num_rows > MAX_ROWS:
                raise ConfigurationError(
                    f"{path}: expected up to {MAX_ROWS} rows, got {file.metadata.num_rows}"
                )
            wanted = {_ID, _MJD, _BAND, _FLUX, _MAG, _ERROR, _LIMIT, _DETECTED}
            names = [name for name in file.schema_arrow.names if name.lower() in wanted]
            table = file.read(columns=names)
    except pa.ArrowException as error:
        raise ConfigurationError(f"{path}: expected a Parquet file: {error}") from error
    return {name.lower(): table.column(name).to_pylist() for name in names}


def _check(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    missing = [name for name in _NEEDED if name not in columns]
    if _FLUX not in columns and _MAG not in columns:
        missing.append("flux or mag")
    if missing:
        raise ConfigurationError(
            f"{path}: expected the columns id, mjd, band, flux or mag, error; missing: {', '.join(missing)}; "
            f"got {', '.join(columns)[:200]}"
        )
    if _FLUX in columns and _MAG in columns:
        raise ConfigurationError(f"{path}: expected flux or mag, got both; remove or rename one of them")


def _numbered(values: Sequence[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the different names, and the number of each row's among them."""
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(str(value), len(numbers)) for value in values]
    return list(numbers), np.array(rows, np.int64)


def _epochs(path: Path, columns: Mapping[str, Sequence[Any]], number: NDArray[np.int64]) -> Epochs:
    mjd, error = (_floats(path, name, columns[name]) for name in (_MJD, _ERROR))
    if len(mjd) and np.nanmin(mjd, initial=np.inf) > LAST_MJD:
        raise ConfigurationError(f"{path}: expected mjd in days, got {mjd[0]:g}; MJD is JD - 2400000.5")
    missing = np.full(len(mjd), np.nan)
    limit = _floats(path, _LIMIT, columns[_LIMIT]) if _LIMIT in columns else missing
    if _MAG in columns:
        mag = _floats(path, _MAG, columns[_MAG])
        measured = np.isfinite(mag)
        flux = _flux_njy(mag)
        error = flux * error * _PER_MAG
        seen = measured
        flux = np.where(measured, flux, 0.0)
        error = np.where(measured, error, _flux_njy(limit) / DETECTION_SIGMA)
    else:
        flux = _floats(path, _FLUX, columns[_FLUX])
        measured = np.ones(len(flux), np.bool_)
        seen = np.abs(flux) >= DETECTION_SIGMA * error
    if _DETECTED in columns:
        seen = measured & (_floats(path, _DETECTED, columns[_DETECTED]) > 0)
    kind = np.where(seen, DETECTION, np.where(measured, FORCED, LIMIT)).astype(np.uint8)
    return Epochs(number, mjd, _bands(path, columns[_BAND]), flux, error, kind)


def _flux_njy(mag: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10.0 ** (0.4 * (AB_ZERO_POINT - np.clip(mag, -30.0, 60.0))))


def _floats(path: Path, name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    """Return numbers, NaN for what is empty."""
    numbers = [_number(value) for value in values]
    if None in numbers:
        row = numbers.index(None)
        raise ConfigurationError(f"{path}, row {row + 1}: {name}: expected a number, got {values[row]!r:.80}")
    return np.array(numbers, np.float64)


def _number(value: Any) -> float | None:
    """Return a number, NaN for what is empty and None for what is no number."""
    if value is None or value == "":
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _bands(path: Path, values: Sequence[Any]) -> NDArray[np.uint8]:
    unknown = {str(value) for value in values} - CODES.keys() - SHORT_NAMES.keys()
    if unknown:
        name = min(unknown)
        nearest = difflib.get_close_matches(name, NAMES, 1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ConfigurationError(
            f"{path}: band: {name!r:.80} is unknown{hint}; expected one of: "
            f"{', '.join(SHORT_NAMES)}, {', '.join(NAMES)}"
        )
    return np.array([CODES[SHORT_NAMES.get(value, value)] for value in values], np.uint8)
