# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Meters of energy, as the nodes would find them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Finding, note, ok, warning
from lowlat_nodes.energy.meters.discovery import find_meters
from lowlat_nodes.energy.meters.sysfs import ROOT_VARIABLE
from lowlat_nodes.stream.meter import Kind

_PERIOD_S, _PERIODS = 0.1, 15


def check(examination: Examination) -> Iterator[Finding]:
    """Read each meter for a while, as a counter counts only once it was seen to move."""
    del examination
    found = find_meters()
    try:
        readings = {meter.name: meter.read() for meter in found.meters}
        for _ in range(_PERIODS if found.meters else 0):
            if all(reading.kind is not Kind.UNAVAILABLE for reading in readings.values()):
                break
            time.sleep(_PERIOD_S)
            readings = {meter.name: meter.read() for meter in found.meters}
    finally:
        for meter in found.meters:
            meter.close()
    fakes = {meter.name: meter.fake for meter in found.meters}
    kinds = {name: reading.kind for name, reading in readings.items()}
    for name, reading in readings.items():
        if fakes[name]:
            yield warning(name, f"FAKE: {fakes[name]}.", f"unset {ROOT_VARIABLE}", kind=reading.kind.value)
        elif reading.kind is Kind.MEASURED:
            yield ok(name, "This meter measures.", kind=reading.kind.value)
        elif reading.kind is Kind.UNAVAILABLE:
            yield warning(name, _sentence(reading.why), *_commands(reading.why), kind=reading.kind.value)
    if Kind.MEASURED not in kinds.values():
        modelled = Kind.MODELLED in kinds.values()
        instead = "figures come from a model, and say so" if modelled else "figures are unavailable"
        yield note("meters", f"Nothing measures energy here; {instead}.", "lowlat energy meters")
    for missing in found.missing:
        yield note(missing.name, _sentence(missing.why), *_commands(missing.why))


def _sentence(why: str) -> str:
    return why.partition("\n")[0]


def _commands(why: str) -> list[str]:
    """Return the lines after the first one, which are commands to paste."""
    return [line.strip() for line in why.splitlines()[1:] if line.strip()]
