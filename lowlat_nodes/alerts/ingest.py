# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From packets to light curves, many at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.avro import Reader
from lowlat_nodes.alerts.avro.schema import BadSchema, Type, fields, parse
from lowlat_nodes.alerts.container import Bytes
from lowlat_nodes.alerts.epochs import DETECTION, DETECTION_SIGMA, FORCED, in_order, usable
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.surveys.lsst import Lsst
from lowlat_nodes.alerts.surveys.survey import NULL, Alerts, Survey, UnknownSurvey
from lowlat_nodes.alerts.surveys.ztf import Ztf
from lowlat_nodes.alerts.wire import MOST_SCHEMAS, UnreadablePacket, Wire, WriterSchema
from lowlat_nodes.stream.bound import UNBOUNDED, Bound
from lowlat_nodes.stream.payload import Packet

SURVEYS = (Ztf, Lsst)

_UNNAMED = "alerts"  # the source of packets without an origin


@dataclass(slots=True, eq=False)
class Ingested:
    """What came out of some packets.

    Attributes:
        light_curves: Of the n alerts that could be read, in the order of their packets.
        surveys: n names, ztf or lsst.
        schema_versions: n versions of the survey's schema, as in 4.02 or 10.0.
        packets: int64 [n], the number of the packet that each alert came in.
        refused: Why the other packets could not be read, by their numbers.
        unusable_epochs: How many epochs of the alerts that could be read had no flux, a bad error, an absurd
            time or an unknown passband, and were left out.
        repeated_epochs: How many were left out since another one is of the same visit and passband.
    """

    light_curves: LightCurves
    surveys: Sequence[str]
    schema_versions: Sequence[str]
    packets: NDArray[np.int64]
    refused: dict[int, str]
    unusable_epochs: int = 0
    repeated_epochs: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """How to read records of one schema.

    Attributes:
        survey: Knows what they mean.
        reader: Takes out of them what it needs.
    """

    survey: Survey
    reader: Reader


class Ingest:
    """Turns packets of any survey into light curves; used by one thread.

    A packet that cannot be read is refused with a reason, and never touches the others.

    Args:
        registry: Where schemas are found that come by number or name.
        most_bytes: A larger packet, or one that decompresses to more, is refused.
        bound: How many epochs an alert may have, by `Packet.source` (`alerts` for packets without one) and
            the name of the survey. One with more is refused: without some of its epochs it might be
            classified as something else.
    """

    def __init__(
        self,
        registry: SchemaRegistry | None = None,
        most_bytes: int = 1 << 24,
        bound: Bound = UNBOUNDED,
    ) -> None:
        self._wire = Wire(registry, most_bytes)
        self._bound = bound
        self._known: OrderedDict[WriterSchema, Known | str] = OrderedDict()

    def read(self, packets: Sequence[Packet]) -> Ingested:
        """Return the light curves in some packets; 64 at once take little longer than a few."""
        refused: dict[int, str] = {}
        groups: dict[WriterSchema, tuple[list[int], list[Bytes]]] = {}
        for number, packet in enumerate(packets):
            try:
                schema, body = self._wire.open(packet)
            except UnreadablePacket as error:
                refused[number] = str(error)
                continue
            group = groups.get(schema)
            if group is None:
                group = groups[schema] = ([], [])
            group[0].append(number)
            group[1].append(body)

        parts = []
        for schema, (numbers, bodies) in groups.items():
            known = self._how_to_read(schema)
            if isinstance(known, str):
                refused.update(dict.fromkeys(numbers, known))
            else:
                sources = [packets[number].source or _UNNAMED for number in numbers]
                parts.append(_read(known, np.array(numbers), bodies, sources, self._bound))
        return _together(parts, refused)

    def _how_to_read(self, schema: WriterSchema) -> Known | str:
        """Return how to read records of a schema, or why that is not known."""
        known = self._known.get(schema)
        if known is not None:
            self._known.move_to_end(schema)
            return known
        known = self._known[schema] = learn(schema.text)
        if len(self._known) > MOST_SCHEMAS:
            self._known.popitem(last=False)
        return known


def learn(text: bytes) -> Known | str:
    """Return how to read records of a schema, JSON, or why that is not known."""
    try:
        schema = parse(text)
        survey = _survey(schema)
        return Known(survey, Reader(text, survey.projection))
    except (BadSchema, UnknownSurvey) as error:
        return str(error)


def _survey(schema: Type) -> Survey:
    paths = fields(schema)
    for survey in SURVEYS:
        if survey.mark in paths:
            return survey(schema)
    msg = (
        "expected an alert of ZTF (with candidate.jd) or LSST (with diaSource), "
        f"got a record with {', '.join(sorted(path[0] for path in paths if len(path) == 1))[:200]}"
    )
    raise UnknownSurvey(msg)


def _read(
    known: Known, packet: NDArray[np.int64], bodies: Sequence[Bytes], sources: Sequence[str], bound: Bound
) -> Ingested:
    """Return the light curves in records of one schema, which came in the packets of these numbers."""
    decoded = known.reader.read(bodies)
    alerts = known.survey.interpret(decoded)
    refused = _unacceptable(alerts, known.survey) | decoded.refused
    refused |= _too_long(alerts, refused, sources, known.survey.name, bound)
    epochs, number = alerts.epochs, len(bodies)
    good = usable(epochs)
    if not good[:number].all():
        for alert in np.flatnonzero(~good[:number]).tolist():
            refused.setdefault(alert, _describe_own_epoch(alerts, alert))
    kept = np.arange(number)
    if refused:
        accepted = np.ones(number, np.bool_)
        accepted[list(refused)] = False
        kept = np.flatnonzero(accepted)
        epochs = epochs.take(accepted[epochs.alert])
        good = usable(epochs)
        epochs.alert = (np.cumsum(accepted) - 1)[epochs.alert]
    came = len(good)
    if not good.all():
        epochs = epochs.take(good)
    fine = len(epochs.alert)
    epochs = in_order(epochs)

    offsets = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(np.bincount(epochs.alert, minlength=len(kept)), out=offsets[1:])
    detected = epochs.kind <= DETECTION
    detected |= (epochs.kind == FORCED) & (np.abs(epochs.flux_njy) >= DETECTION_SIGMA * epochs.error_njy)
    curves = LightCurves(
        alerts.alert_id[kept],
        [alerts.object_id[alert] for alert in kept],
        offsets,
        epochs.mjd,
        epochs.band,
        epochs.flux_njy,
        epochs.error_njy,
        detected,
    )
    return Ingested(
        light_curves=curves,
        surveys=[known.survey.name] * len(kept),
        schema_versions=[alerts.version[alert] for alert in kept],
        packets=packet[kept],
        refused={int(packet[alert]): reason for alert, reason in refused.items()},
        unusable_epochs=came - fine,
        repeated_epochs=fine - len(epochs.alert),
    )


def _unacceptable(alerts: Alerts, survey: Survey) -> dict[int, str]:
    """Return which alerts have no number or a version that is not known here, and why that is bad."""
    refused = {}
    for version in set(alerts.version):
        major, point, _ = version.partition(".")
        if not (point and major.isdecimal() and int(major) in survey.majors):
            reason = (
                f"expected version {', '.join(map(str, survey.majors))} of the schema of {survey.name}, "
                f"got {version or 'none'}"
            )
            refused.update({alert: reason for alert, one in enumerate(alerts.version) if one == version})
    if alerts.alert_id.min() == NULL:
        for alert in np.flatnonzero(alerts.alert_id == NULL).tolist():
            refused[alert] = f"expected an alert of {survey.name} with a number, got null"
    return refused


def _too_long(
    alerts: Alerts, refused: Container[int], sources: Sequence[str], survey: str, bound: Bound
) -> dict[int, str]:
    """Return which alerts, of those not refused, have more epochs than they may, and why that is bad."""
    found = {}
    counts = np.bincount(alerts.epochs.alert, minlength=len(sources)).tolist()
    for alert, (source, count) in enumerate(zip(sources, counts, strict=True)):
        if alert in refused:
            continue
        limit = bound.limit(source, survey)
        if limit == 0.0:
            found[alert] = f"nothing is read of the source {source!r} for now: too many alerts were too long"
            continue
        bound.note(count, cut=count > limit, source=source, bucket=survey)
        if count > limit:
            found[alert] = f"too many epochs for an alert of {survey}: {count}, {int(limit)} may be"
    return found


def _describe_own_epoch(alerts: Alerts, alert: int) -> str:
    epochs = alerts.epochs
    return (
        "the epoch that raised the alert is unusable: "
        f"MJD {epochs.mjd[alert]:.6f}, passband {int(epochs.band[alert])}, "
        f"flux {epochs.flux_njy[alert]:.6g} nJy, error {epochs.error_njy[alert]:.6g} nJy"
    )


def _together(parts: list[Ingested], refused: dict[int, str]) -> Ingested:
    if len(parts) == 1:
        parts[0].refused |= refused
        return parts[0]
    for part in parts:
        refused |= part.refused
    packet = np.concatenate([np.empty(0, np.int64), *(part.packets for part in parts)])
    order = np.argsort(packet)
    survey = [name for part in parts for name in part.surveys]
    version = [name for part in parts for name in part.schema_versions]
    return Ingested(
        light_curves=LightCurves.concatenate([part.light_curves for part in parts]).take(order),
        surveys=[survey[alert] for alert in order],
        schema_versions=[version[alert] for alert in order],
        packets=packet[order],
        refused=refused,
        unusable_epochs=sum(part.unusable_epochs for part in parts),
        repeated_epochs=sum(part.repeated_epochs for part in parts),
    )
