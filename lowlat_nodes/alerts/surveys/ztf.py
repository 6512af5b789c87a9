# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts of the Zwicky Transient Facility, schemas 3 and 4, and what brokers make of them.

Field names as in the ZTF alert schema 4.02 (github.com/ZwickyTransientFacility/ztf-avro-alert); forced
photometry as in Masci et al. 2023 (arXiv:2305.16279).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.avro.schema import Primitive, Type, fields
from lowlat_nodes.alerts.epochs import DETECTION, FORCED, LIMIT, OWN, UNKNOWN_BAND, Epochs
from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.projection import Column, Decoded, Projection
from lowlat_nodes.alerts.surveys.survey import (
    Alerts,
    UnknownSurvey,
    alert_of_rows,
    letters,
    pick,
    table,
    types_at,
)

MJD_OF_JD = 2_400_000.5

_EPOCH = {
    "jd": ("f8", ["jd"]),
    "filter": ("i8", ["fid"]),
    "mag": ("f8", ["magpsf"]),
    "mag_error": ("f8", ["sigmapsf"]),
    "positive": ("S8", ["isdiffpos"]),  # t or 1, f or 0; some make a truth value of it
    "limit": ("f8", ["diffmaglim"]),
}
_FORCED = {
    "jd": ("f8", ["jd"]),
    "filter": ("i8", ["fid"]),
    "flux": ("f8", ["forcediffimflux"]),
    "flux_error": ("f8", ["forcediffimfluxunc"]),
    "zero_point": ("f8", ["magzpsci"]),
    "status": ("S32", ["procstatus"]),
}

_LN_PER_MAG = 0.4 * math.log(10.0)

_BANDS = np.full(5, UNKNOWN_BAND, np.uint8)
_BANDS[1:4] = [CODES["ztf_g"], CODES["ztf_r"], CODES["ztf_i"]]
"""Code by `fid`; what lies outside is clipped to one of the ends."""

_SIGNS = np.full(256, np.nan)
_SIGNS[list(b"tT1")] = 1.0
_SIGNS[list(b"fF0")] = -1.0
"""Sign of the flux by the first letter of `isdiffpos`."""

# Forced photometry without a warning, or with the one that says that no source of the reference image is
# near.
# Others may be lists of numbers; eight bytes tell them apart.
_GOOD_STATUS = np.array([b"0", b"57"], "S8").view(np.uint64)

_LIMIT_SIGMA = 5.0
"""What `diffmaglim` is a limit of."""


class Ztf:
    """What alerts with one writer's schema hold.

    Times are the survey's own: the start of the exposure, UTC. Those of LSST are TAI (37 s ahead) at the
    middle of the exposure; no light curve has both, and differences of times are what counts.

    Args:
        schema: The writer's.

    Raises:
        UnknownSurvey: It lacks what a ZTF alert must have.
    """

    name = "ztf"
    mark = ("candidate", "jd")
    majors = (3, 4)

    def __init__(self, schema: Type) -> None:
        paths = fields(schema)
        columns = dict(_EPOCH)
        if not any(type_ == Primitive("string") for type_ in types_at(schema, ("candidate", "isdiffpos"))):
            columns["positive"] = ("f8", columns["positive"][1])
        own = table(paths, ("candidate",), columns)
        alert = {
            "alert_id": pick(paths, "i8", ("candid",), ("candidate", "candid")),
            "object_id": pick(paths, "S32", ("objectId",)),
            "version": pick(paths, "S16", ("schemavsn",)),
        }
        scalars = {name: column for name, column in alert.items() if column is not None}
        if own is None or len(scalars) < len(alert):
            msg = (
                "expected a ZTF alert with candid, objectId, schemavsn and, in candidate, "
                f"{', '.join(names[0] for _, names in _EPOCH.values())}; the schema has not all of these"
            )
            raise UnknownSurvey(msg)
        for name, column in own.columns.items():
            scalars[name] = Column(("candidate", *column.path), column.dtype)
        tables = {
            "history": table(paths, ("prv_candidates",), columns),
            "forced": table(paths, ("fp_hists",), _FORCED),
        }
        self.projection = Projection(
            scalars, {name: rows for name, rows in tables.items() if rows is not None}
        )

    def interpret(self, decoded: Decoded) -> Alerts:
        """Return what the records say."""
        scalars = decoded.scalars
        return Alerts(
            scalars["alert_id"],
            [name.decode("utf-8", "replace") for name in scalars["object_id"].tolist()],
            [version.decode("utf-8", "replace") for version in scalars["version"].tolist()],
            self._epochs(decoded),
        )

    def _epochs(self, decoded: Decoded) -> Epochs:
        scalars = decoded.scalars
        number = len(scalars["jd"])
        alerts = [np.arange(number)]
        columns = {name: [scalars[name]] for name in _EPOCH}
        history = decoded.tables.get("history")
        if history is not None:
            alerts.append(alert_of_rows(history))
            for name, parts in columns.items():
                parts.append(history.columns[name])
        jd, filter_, mag, mag_error, positive, limit = map(np.concatenate, columns.values())

        undetected = np.isnan(mag)
        undetected[:number] = False
        with np.errstate(over="ignore", invalid="ignore"):  # what has no finite flux is sorted out later
            scale = np.exp(_LN_PER_MAG * (AB_ZERO_POINT - np.where(undetected, limit, mag)))
            flux = scale * _sign(positive)
            error = scale * np.where(undetected, 1.0 / _LIMIT_SIGMA, _LN_PER_MAG * mag_error)
        flux[undetected] = 0.0
        kind = np.where(undetected, np.uint8(LIMIT), np.uint8(DETECTION))
        kind[:number] = OWN

        forced = decoded.tables.get("forced")
        if forced is None or not len(forced.columns["jd"]):
            return Epochs(np.concatenate(alerts), jd - MJD_OF_JD, _band(filter_), flux, error, kind)
        more = forced.columns
        with np.errstate(over="ignore", invalid="ignore"):
            scale = np.exp(_LN_PER_MAG * (AB_ZERO_POINT - more["zero_point"]))
            forced_flux, forced_error = scale * more["flux"], scale * more["flux_error"]
        status = np.ascontiguousarray(letters(more["status"])[:, :8]).view(np.uint64)[:, 0]
        # Where nothing could be measured, flux and error are -99999.
        forced_error[(status != _GOOD_STATUS[0]) & (status != _GOOD_STATUS[1])] = np.nan
        return Epochs(
            np.concatenate([*alerts, alert_of_rows(forced)]),
            np.concatenate([jd, more["jd"]]) - MJD_OF_JD,
            _band(np.concatenate([filter_, more["filter"]])),
            np.concatenate([flux, forced_flux]),
            np.concatenate([error, forced_error]),
            np.concatenate([kind, np.full(len(forced_flux), FORCED, np.uint8)]),
        )


def _band(filter_: NDArray[np.int64]) -> NDArray[np.uint8]:
    return _BANDS.take(filter_, mode="clip")


def _sign(positive: NDArray[Any]) -> NDArray[np.float64]:
    if positive.dtype.kind == "f":
        return np.where(np.isnan(positive), np.nan, np.where(positive > 0.0, 1.0, -1.0))
    return _SIGNS[letters(positive)[:, 0]]
