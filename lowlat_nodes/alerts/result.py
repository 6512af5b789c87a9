# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is published of a classified alert: one record each, field by field in docs/alert_results.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES, TREE
from lowlat_nodes.alerts.classifier import Classifier
from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT, LightCurves
from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.stream.payload import Record

ABSTAINED = "abstained"
"""Stands for the class where none is probable enough."""

BRANCHES: Mapping[str, tuple[str, ...]] = {
    **{name: tuple(leaf for leaves in kinds.values() for leaf in leaves) for name, kinds in TREE.items()},
    **{name: leaves for kinds in TREE.values() for name, leaves in kinds.items()},
}
"""The upper two levels of the tree: the classes under each branch."""

FIELDS: Mapping[str, Any] = {
    "survey": str,
    "schema_version": str,
    "alert_id": int,
    "object_id": str,
    "best": str,
    "p": dict.fromkeys(CLASSES, float),
    "tree": dict.fromkeys(BRANCHES, float),
    "epochs": int,
    "detections": int,
    "mjd": float,
    "days": float,
    "band": str,
    "magnitude": float,
    "model": str,
    "model_sha256": str,
    "received_ns": int,
}
"""The fields of a result in their order, with their types; a mapping has a mapping of types."""

CHOICES: Mapping[str, tuple[str, ...]] = {"best": (*CLASSES, ABSTAINED), "band": NAMES}
"""What the fields of text that hold one of a few words may hold."""

_DECIMALS = 6  # of probabilities
_SUMS = np.array([[leaf in leaves for leaves in BRANCHES.values()] for leaf in CLASSES], np.float64)


class Classified(Protocol):
    """Alerts that were read, as results need them."""

    @property
    def light_curves(self) -> LightCurves:
        """Return those of n alerts."""
        ...

    @property
    def surveys(self) -> Sequence[str]:
        """Return the name of the survey of each."""
        ...

    @property
    def schema_versions(self) -> Sequence[str]:
        """Return the version of the schema of each, as its survey writes it."""
        ...


def results(
    alerts: Classified,
    probabilities: NDArray[np.floating[Any]],
    classifier: Classifier,
    received_ns: Sequence[int],
) -> list[Record]:
    """Return the results of a batch of n alerts.

    Args:
        alerts: What was classified.
        probabilities: [n, classes], rows that sum to 1. A row that is not finite makes a result that abstains
            and has null as its probabilities.
        classifier: What made them.
        received_ns: When each alert came in.

    Returns:
        One record per alert with the fields of `FIELDS`; its key is the survey and the number of the alert.

    Raises:
        ValueError: If the arguments are not of the same number of alerts.
    """
    curves = alerts.light_curves
    shares: NDArray[np.float64] = np.asarray(probabilities, np.float64).round(_DECIMALS)
    sums: NDArray[np.float64] = (shares @ _SUMS).round(_DECIMALS)
    known = np.logical_and.reduce(np.isfinite(sums), axis=1)
    winners = shares.argmax(axis=1)
    sure = known & (shares.max(axis=1, initial=0.0) >= classifier.threshold)
    decided = zip(winners.tolist(), sure.tolist(), strict=True)
    columns = zip(
        alerts.surveys,
        alerts.schema_versions,
        curves.alert_id.tolist(),
        curves.object_id,
        [CLASSES[winner] if named else ABSTAINED for winner, named in decided],
        _mappings(CLASSES, shares, known),
        _mappings(tuple(BRANCHES), sums, known),
        np.diff(curves.offsets).tolist(),
        *_of_detections(curves),
        [classifier.name] * len(curves),
        [classifier.sha256] * len(curves),
        received_ns,
        strict=True,
    )
    return [Record(dict(zip(FIELDS, row, strict=True)), f"{row[0]}:{row[2]}".encode()) for row in columns]


def _mappings(
    names: Sequence[str], rows: NDArray[np.float64], known: NDArray[np.bool_]
) -> list[dict[str, float | None]]:
    """Return each row by name, with null for what is not known."""
    found: list[dict[str, float | None]] = [dict(zip(names, row, strict=True)) for row in rows.tolist()]
    for index in np.flatnonzero(~known).tolist():
        found[index] = dict.fromkeys(names)
    return found


def _of_detections(curves: LightCurves) -> tuple[list[Any], ...]:
    """Return number of detections, time of the last, days since the first, band and magnitude of the last."""
    places = np.flatnonzero(curves.detected)
    ends = np.searchsorted(places, curves.offsets)
    counts = np.diff(ends)
    seen = counts > 0
    first, last = places[ends[:-1][seen]], places[ends[1:][seen] - 1]
    flux = curves.flux_njy[last]
    bright = flux > 0
    magnitude = AB_ZERO_POINT - 2.5 * np.log10(np.where(bright, flux, 1.0))
    return (
        counts.tolist(),
        _spread(np.round(curves.mjd[last], 6).tolist(), seen),
        _spread(np.round(curves.mjd[last] - curves.mjd[first], 6).tolist(), seen),
        _spread([NAMES[code] for code in curves.band[last].tolist()], seen),
        _spread(_spread(np.round(magnitude[bright], 4).tolist(), bright), seen),
    )


def _spread(values: list[Any], places: NDArray[np.bool_]) -> list[Any]:
    """Return the values where `places` is true, None elsewhere."""
    if len(values) == len(places):
        return values
    left = iter(values)
    return [next(left) if place else None for place in places.tolist()]
