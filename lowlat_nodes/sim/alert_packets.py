# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets of simulated light curves, in the formats in which surveys and brokers send alerts.

The schemas are small ones of our own: the fields that a light curve needs, by the names of the surveys (ZTF
4.02, LSST 11.0), and cutouts of any size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from lowlat_nodes.alerts.avro import Writer
from lowlat_nodes.alerts.container import write_header, write_record
from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT, LightCurves
from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.stream.payload import Packet

LSST_SCHEMA_NUMBER = 1100
"""Of `LSST_SCHEMA`, as in a Confluent registry: 100 times the major version and the minor."""

_ZERO_POINT = 26.2  # of ZTF's forced photometry, mag
_SIGMA_TO_MAG = 2.5 / math.log(10.0)
_MJD_TO_JD = 2_400_000.5

_MAYBE_FLOAT = ["null", "float"]


def _record(name: str, **types: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": key, "type": types[key]} for key in types]}


def _maybe_list(items: Any) -> list[Any]:
    return ["null", {"type": "array", "items": items}]


_ZTF_EPOCH = {"jd": "double", "fid": "int", "diffmaglim": _MAYBE_FLOAT, "programid": "int"}

ZTF_SCHEMA = json.dumps(
    _record(
        "ztf.alert",
        schemavsn="string",
        publisher="string",
        objectId="string",
        candid="long",
        candidate=_record(
            "ztf.alert.candidate",
            **_ZTF_EPOCH,
            candid="long",
            isdiffpos="string",
            magpsf="float",
            sigmapsf="float",
        ),
        prv_candidates=_maybe_list(
            _record(
                "ztf.alert.prv_candidate",
                **_ZTF_EPOCH,
                candid=["null", "long"],
                isdiffpos=["null", "string"],
                magpsf=_MAYBE_FLOAT,
                sigmapsf=_MAYBE_FLOAT,
            )
        ),
        fp_hists=_maybe_list(
            _record(
                "ztf.alert.fp_hist",
                **_ZTF_EPOCH,
                magzpsci=_MAYBE_FLOAT,
                forcediffimflux=_MAYBE_FLOAT,
                forcediffimfluxunc=_MAYBE_FLOAT,
                procstatus=["null", "string"],
            )
        ),
        cutoutScience=["null", _record("ztf.alert.cutout", fileName="string", stampData="bytes")],
        cutoutTemplate=["null", "ztf.alert.cutout"],
        cutoutDifference=["null", "ztf.alert.cutout"],
    )
).encode()
"""Of the packets of `ztf_packets` and `fink_packets`."""

_LSST_FLUX = {
    "midpointMjdTai": "double",
    "psfFlux": _MAYBE_FLOAT,
    "psfFluxErr": _MAYBE_FLOAT,
    "band": ["null", "string"],
    "timeWithdrawnMjdTai": ["null", "double"],
}

LSST_SCHEMA = json.dumps(
    _record(
        "lsst.v11_0.alert",
        diaSourceId="long",
        diaSource=_record(
            "lsst.v11_0.diaSource",
            diaSourceId="long",
            visit="long",
            diaObjectId=["null", "long"],
            ssObjectId=["null", "long"],
            **_LSST_FLUX,
        ),
        prvDiaSources=_maybe_list("lsst.v11_0.diaSource"),
        prvDiaForcedSources=_maybe_list(_record("lsst.v11_0.diaForcedSource", visit="long", **_LSST_FLUX)),
        cutoutDifference=["null", "bytes"],
        cutoutScience=["null", "bytes"],
        cutoutTemplate=["null", "bytes"],
    )
).encode()
"""Of the packets of `lsst_packets`."""


def ztf_packets(curves: LightCurves, cutout_bytes: int = 15_000) -> Iterator[Packet]:
    """Yield each light curve as an Avro container, as ZTF sends its alerts.

    The last detected epoch raises the alert. Other detections and limits go to prv_candidates, what was
    measured and not detected to fp_hists.

    Args:
        curves: In passbands of ZTF, each with a detection. Names of objects are sent as they are.
        cutout_bytes: Size of each of the three cutouts.

    Raises:
        ValueError: A light curve has no detection, or another survey's passband.
    """
    write = Writer(ZTF_SCHEMA).write
    header = write_header(ZTF_SCHEMA)
    for number, record in _ztf_records(curves, cutout_bytes):
        yield Packet(write_record(header, write(record), number.to_bytes(16, "big")))


def fink_packets(curves: LightCurves, cutout_bytes: int = 15_000) -> Iterator[Packet]:
    """Yield each light curve of ZTF as the broker FINK sends it: the schema as key, a bare record as value.

    Arguments and errors are those of `ztf_packets`.
    """
    write = Writer(ZTF_SCHEMA).write
    for _, record in _ztf_records(curves, cutout_bytes):
        yield Packet(write(record), ZTF_SCHEMA)


def lsst_packets(
    curves: LightCurves, cutout_bytes: int = 15_000, schema_number: int = LSST_SCHEMA_NUMBER
) -> Iterator[Packet]:
    """Yield each light curve in the Confluent wire format, as Rubin sends its alerts.

    The last detected epoch raises the alert. Other detections go to prvDiaSources, the rest to
    prvDiaForcedSources.

    Args:
        curves: In passbands of LSST, each with a detection. Names of objects are numbers.
        cutout_bytes: Size of each of the three cutouts.
        schema_number: By which readers find `LSST_SCHEMA`.

    Raises:
        ValueError: A light curve has no detection, or another survey's passband.
    """
    write = Writer(LSST_SCHEMA).write
    start = b"\0" + schema_number.to_bytes(4, "big")
    cutout = _cutout(cutout_bytes)
    for alert in range(len(curves)):
        own, others = _epochs(curves, alert)
        name = int(curves.object_id[alert])
        sources = {}
        for before, row in enumerate([own, *(row for row in others if curves.detected[row])]):
            ids = {"diaSourceId": int(curves.alert_id[alert]) - before, "diaObjectId": name}
            sources[row] = _lsst_epoch(curves, row) | ids
        record = {
            "diaSourceId": int(curves.alert_id[alert]),
            "diaSource": sources.pop(own),
            "prvDiaSources": [sources[row] for row in sorted(sources)],
            "prvDiaForcedSources": [_lsst_epoch(curves, row) for row in others if not curves.detected[row]],
            "cutoutDifference": cutout,
            "cutoutScience": cutout,
            "cutoutTemplate": cutout,
        }
        yield Packet(start + write(record))


def _cutout(size: int) -> bytes:
    """Return what compresses no better than a cutout, which is a compressed image."""
    return np.random.default_rng(0).bytes(size)


def _epochs(curves: LightCurves, alert: int) -> tuple[int, list[int]]:
    """Return the row of the epoch that raised an alert, and those of the others."""
    rows = list(range(int(curves.offsets[alert]), int(curves.offsets[alert + 1])))
    own = next((row for row in reversed(rows) if curves.detected[row]), None)
    if own is None:
        msg = f"expected light curves with a detection; that of {curves.object_id[alert]!r} has none"
        raise ValueError(msg)
    return own, [row for row in rows if row != own]


def _band(curves: LightCurves, row: int, survey: str, letters: str) -> str:
    name = NAMES[int(curves.band[row])]
    prefix, _, letter = name.partition("_")
    if prefix != survey or letter not in letters:
        msg = f"expected passbands {', '.join(f'{survey}_{letter}' for letter in letters)}, got {name}"
        raise ValueError(msg)
    return letter


def _lsst_epoch(curves: LightCurves, row: int) -> dict[str, Any]:
    return {
        "visit": row,
        "midpointMjdTai": float(curves.mjd[row]),
        "psfFlux": float(curves.flux_njy[row]),
        "psfFluxErr": float(curves.error_njy[row]),
        "band": _band(curves, row, "lsst", "ugrizy"),
    }


def _ztf_records(curves: LightCurves, cutout_bytes: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and record of each alert."""
    cutout = {"fileName": "", "stampData": _cutout(cutout_bytes)}
    for alert in range(len(curves)):
        number = int(curves.alert_id[alert])
        own, others = _epochs(curves, alert)
        forced = [row for row in others if not curves.detected[row] and curves.flux_njy[row]]
        history = []
        for row in sorted(set(others) - set(forced)):
            detected = curves.detected[row]
            history.append(
                _ztf_detection(curves, row, number - own + row) if detected else _ztf_limit(curves, row)
            )
        record = {
            "schemavsn": "4.02",
            "publisher": "simulated",
            "objectId": curves.object_id[alert],
            "candid": number,
            "candidate": _ztf_detection(curves, own, number),
            "prv_candidates": history,
            "fp_hists": [_ztf_forced(curves, row) for row in forced],
            "cutoutScience": cutout,
            "cutoutTemplate": cutout,
            "cutoutDifference": cutout,
        }
        yield number, record


def _ztf_limit(curves: LightCurves, row: int) -> dict[str, Any]:
    return {
        "jd": float(curves.mjd[row]) + _MJD_TO_JD,
        "fid": "gri".index(_band(curves, row, "ztf", "gri")) + 1,
        "diffmaglim": AB_ZERO_POINT - 2.5 * math.log10(5.0 * curves.error_njy[row]),
        "programid": 1,
    }


def _ztf_detection(curves: LightCurves, row: int, number: int) -> dict[str, Any]:
    flux = float(curves.flux_njy[row])
    return _ztf_limit(curves, row) | {
        "candid": number,
        "isdiffpos": "t" if flux > 0.0 else "f",
        "magpsf": AB_ZERO_POINT - 2.5 * math.log10(abs(flux)),
        "sigmapsf": _SIGMA_TO_MAG * float(curves.error_njy[row]) / abs(flux),
    }


def _ztf_forced(curves: LightCurves, row: int) -> dict[str, Any]:
    scale = 10.0 ** (-0.4 * (AB_ZERO_POINT - _ZERO_POINT))
    return _ztf_limit(curves, row) | {
        "magzpsci": _ZERO_POINT,
        "forcediffimflux": scale * float(curves.flux_njy[row]),
        "forcediffimfluxunc": scale * float(curves.error_njy[row]),
        "procstatus": "0",
    }
