# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts of Rubin's Legacy Survey of Space and Time, schemas 7 to 11, and what brokers make of them.

Fields are found by name, as they came and went between versions: alertId was dropped with 8, where the number
of the source moved up beside it; ssObject became ssSource; records can be withdrawn since 9. Upper limits of
schema 7 (prvDiaNondetectionLimits) are not read: no unit was ever stated for them, and forced photometry took
their place.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.avro.schema import Record, Type, fields
from lowlat_nodes.alerts.epochs import DETECTION, FORCED, OWN, UNKNOWN_BAND, Epochs
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.projection import Column, Decoded, Projection
from lowlat_nodes.alerts.surveys.survey import (
    NULL,
    Alerts,
    UnknownSurvey,
    alert_of_rows,
    letters,
    pick,
    table,
)

_EPOCH = {
    "mjd": ("f8", ["midpointMjdTai", "midPointTai"]),
    "band": ("S16", ["band", "filterName"]),
    "flux": ("f8", ["psfFlux", "psFlux"]),
    "flux_error": ("f8", ["psfFluxErr", "psFluxErr"]),
}
_WITHDRAWN = {"withdrawn": ("f8", ["timeWithdrawnMjdTai"])}

_TABLES = {"sources": ("prvDiaSources",), "forced": ("prvDiaForcedSources",)}

_BANDS = np.full(256, UNKNOWN_BAND, np.uint8)
for _letter in "ugrizy":
    _BANDS[ord(_letter)] = CODES[f"lsst_{_letter}"]

_VERSION = re.compile(r"lsst\.v(\d+)_(\d+)")


class Lsst:
    """What alerts with one writer's schema hold.

    Times are the survey's own: the middle of the exposure, TAI. Those of ZTF are UTC (37 s behind) at the
    start of the exposure; no light curve has both, and differences of times are what counts.

    Fluxes are differences to a template in nJy, as they come, negative ones too.

    Args:
        schema: The writer's.

    Raises:
        UnknownSurvey: It lacks what an LSST alert must have.
    """

    name = "lsst"
    mark = ("diaSource",)
    majors = (7, 8, 9, 10, 11)

    def __init__(self, schema: Type) -> None:
        paths = fields(schema)
        own = table(paths, ("diaSource",), _EPOCH)
        alert_id = pick(paths, "i8", ("diaSourceId",), ("diaSource", "diaSourceId"))
        if own is None or alert_id is None:
            msg = (
                "expected an LSST alert with diaSourceId and, in diaSource, "
                f"{', '.join(names[0] for _, names in _EPOCH.values())}; the schema has not all of these"
            )
            raise UnknownSurvey(msg)
        # A broker that writes schemas of its own says in each record which version the survey's was.
        found = _VERSION.match(schema.name) if isinstance(schema, Record) else None
        self._version = f"{found[1]}.{found[2]}" if found else ""
        optional = {
            "version": None if found else pick(paths, "S32", ("lsst_schema_version",)),
            "object_id": pick(paths, "i8", ("diaSource", "diaObjectId")),
            "solar_system_id": pick(paths, "i8", ("diaSource", "ssObjectId"), ("ssSource", "ssObjectId")),
            "designation": pick(paths, "S32", ("ssSource", "designation")),
        }
        scalars = {"alert_id": alert_id}
        for name, column in own.columns.items():
            scalars[name] = Column(("diaSource", *column.path), column.dtype)
        scalars |= {name: column for name, column in optional.items() if column is not None}
        tables = {}
        for name, path in _TABLES.items():
            found_table = table(paths, path, _EPOCH | _WITHDRAWN) or table(paths, path, _EPOCH)
            if found_table is not None:
                tables[name] = found_table
        self.projection = Projection(scalars, tables)

    def interpret(self, decoded: Decoded) -> Alerts:
        """Return what the records say."""
        number = len(decoded.scalars["alert_id"])
        return Alerts(
            decoded.scalars["alert_id"],
            self._names(decoded),
            self._versions(decoded, number),
            _epochs(decoded, number),
        )

    def _versions(self, decoded: Decoded, number: int) -> list[str]:
        if "version" not in decoded.scalars:
            return [self._version] * number
        versions = []
        for text in decoded.scalars["version"].tolist():
            found = _VERSION.match(text.decode("utf-8", "replace"))
            versions.append(f"{found[1]}.{found[2]}" if found else "")
        return versions

    @staticmethod
    def _names(decoded: Decoded) -> list[str]:
        """Return the names of the objects: number, else designation or number of the solar system object."""
        scalars = decoded.scalars
        names = [b""] * len(scalars["alert_id"])
        for column in ("object_id", "designation", "solar_system_id", "alert_id"):
            if column in scalars and not all(names):
                values = scalars[column].tolist()
                if column != "designation":
                    values = [b"" if value in {0, NULL} else b"%d" % value for value in values]
                names = [name or value for name, value in zip(names, values, strict=True)]
        return [name.decode("utf-8", "replace") for name in names]


def _epochs(decoded: Decoded, number: int) -> Epochs:
    parts = [(OWN, np.arange(number), decoded.scalars)]
    for kind, name in ((DETECTION, "sources"), (FORCED, "forced")):
        rows = decoded.tables.get(name)
        if rows is not None and len(rows.columns["mjd"]):
            parts.append((kind, alert_of_rows(rows), rows.columns))
    error = [columns["flux_error"] for _, _, columns in parts]
    for place, (_, _, columns) in enumerate(parts):
        if "withdrawn" in columns:
            error[place] = np.where(np.isnan(columns["withdrawn"]), error[place], np.nan)
    return Epochs(
        np.concatenate([alert for _, alert, _ in parts]),
        np.concatenate([columns["mjd"] for _, _, columns in parts]),
        _band(np.concatenate([columns["band"] for _, _, columns in parts])),
        np.concatenate([columns["flux"] for _, _, columns in parts]),
        np.concatenate(error),
        np.concatenate([np.full(len(alert), kind, np.uint8) for kind, alert, _ in parts]),
    )


def _band(words: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    spelled = letters(words)
    codes = _BANDS[spelled[:, 0]]
    codes[spelled[:, 1] != 0] = UNKNOWN_BAND  # no passband has a longer name
    return codes
