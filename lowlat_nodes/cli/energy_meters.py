# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat energy meters`: what measures energy on this machine, what is modelled, and what is missing."""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lowlat_nodes.cli.arguments import positive
from lowlat_nodes.cli.meter_arguments import add_meters, meter_settings
from lowlat_nodes.cli.printable import printable
from lowlat_nodes.energy.figures import Missing
from lowlat_nodes.energy.meters.discovery import find_meters
from lowlat_nodes.energy.meters.sysfs import ROOT_VARIABLE
from lowlat_nodes.stream.meter import Kind, Meter, Reading

EXIT_NOT_MEASURED = 1

_PERIOD_S = 0.1
_WIDTH = 100
_HEAD = ("meter", "covers", "kind", "power", "period", "resolution", "a reading takes", "part of")


def main(argv: Sequence[str]) -> int:
    """Read each meter for a while and print what it says.

    Returns:
        0; 1 if nothing is measured here, a model being no measurement.
    """
    options = _parse(argv)
    found = find_meters(meter_settings(options), options.root)
    try:
        watched = _watch(found.meters, options.seconds)
    finally:
        for meter in found.meters:
            meter.close()
    lines = _json(watched, found.missing) if options.json else _table(watched, found.missing)
    print(lines)
    return 0 if any(each.reading.kind is Kind.MEASURED for each in watched) else EXIT_NOT_MEASURED


@dataclass
class _Watched:
    """One meter over a while."""

    meter: Meter
    reading: Reading
    joules: float = 0.0
    seconds: float = 0.0
    took_us: list[float] = field(default_factory=list)

    def read(self) -> None:
        """Add what was used since the last reading, if both are of the meter and nothing broke in between."""
        before = self.reading
        began_ns = time.perf_counter_ns()
        now = self.reading = self.meter.read()
        self.took_us.append((time.perf_counter_ns() - began_ns) * 1e-3)
        counts = Kind.UNAVAILABLE not in {before.kind, now.kind}
        if counts and now.breaks == before.breaks:
            self.joules += now.joules - before.joules
            self.seconds += (now.time_ns - before.time_ns) * 1e-9

    @property
    def watts(self) -> float:
        known = self.seconds > 0.0 and self.reading.kind is not Kind.UNAVAILABLE
        return self.joules / self.seconds if known else math.nan


def _watch(meters: Sequence[Meter], seconds: float) -> list[_Watched]:
    watched = [_Watched(meter, meter.read()) for meter in meters]
    end = time.monotonic() + seconds
    while watched and (left_s := end - time.monotonic()) > 0.0:
        time.sleep(min(_PERIOD_S, left_s))
        for each in watched:
            each.read()
    return watched


def _table(watched: Sequence[_Watched], missing: Sequence[Missing]) -> str:
    lines = [f"FAKE, nothing here is this machine's: {fake}" for fake in _fakes(watched)]
    if watched:
        head, *rows = _aligned([_HEAD, *map(_row, watched)])
        lines.append(head)
        for row, each in zip(rows, watched, strict=True):
            lines += [row, *_paragraphs(each.reading.why)]
    kinds = {each.reading.kind for each in watched}
    if tops := _tops(watched):
        names = " + ".join(printable(each.meter.name) for each in tops)
        lines += ["", f"Measured in all: {sum(each.watts for each in tops):.2f} W ({names})"]
    if Kind.MEASURED not in kinds:
        tail = "; what is modelled says so wherever it is shown." if Kind.MODELLED in kinds else "."
        lines += ["", f"Nothing is measured here{tail}"]
    if missing:
        lines += ["", "missing:"]
        for one in missing:
            lines += [f"  {printable(one.name)}", *_paragraphs(one.why)]
    return "\n".join(lines)


def _tops(watched: Sequence[_Watched]) -> list[_Watched]:
    """Return what is measured and no part of anything else that is."""
    return [each for each in watched if each.reading.kind is Kind.MEASURED and not each.meter.part_of]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(each: _Watched) -> tuple[str, ...]:
    meter, reading = each.meter, each.reading
    unknown = reading.kind is Kind.UNAVAILABLE
    return (
        printable(meter.name),
        printable(", ".join(meter.covers)),
        reading.kind.value,
        "" if math.isnan(each.watts) else f"{each.watts:.2f} W",
        "" if unknown or not reading.period_s else f"{reading.period_s * 1e3:.3g} ms",
        "" if unknown or not reading.resolution_j else _joules(reading.resolution_j),
        f"{statistics.median(each.took_us):.1f} us" if each.took_us else "",
        meter.part_of,
    )


def _joules(joules: float) -> str:
    unit, factor = ("J", 1.0) if joules >= 1.0 else ("mJ", 1e3) if joules >= 1e-3 else ("uJ", 1e6)
    return f"{joules * factor:.3g} {unit}"


def _paragraphs(why: str) -> list[str]:
    """Return text of which the first line is wrapped; those that follow are commands to paste."""
    if not why:
        return []
    first, *commands = why.splitlines()
    return [
        *textwrap.wrap(printable(first), _WIDTH, initial_indent="    ", subsequent_indent="    "),
        *commands,
    ]


def _fakes(watched: Sequence[_Watched]) -> list[str]:
    return list(dict.fromkeys(printable(each.meter.fake) for each in watched if each.meter.fake))


def _json(watched: Sequence[_Watched], missing: Sequence[Missing]) -> str:
    meters = [
        {
            "name": each.meter.name,
            "device": each.meter.device,
            "covers": list(each.meter.covers),
            "part_of": each.meter.part_of,
            "fake": each.meter.fake,
            "kind": each.reading.kind.value,
            "watts": None if math.isnan(each.watts) else each.watts,
            "period_s": each.reading.period_s,
            "resolution_j": each.reading.resolution_j,
            "breaks": each.reading.breaks,
            "read_us": statistics.median(each.took_us) if each.took_us else None,
            "why": each.reading.why,
        }
        for each in watched
    ]
    return json.dumps(
        {"host": platform.node(), "meters": meters, "missing": [asdict(each) for each in missing]}
    )


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat energy meters",
        description=__doc__,
        epilog="Ends with 1 if nothing is measured, a model being no measurement.",
    )
    parser.add_argument(
        "--for", dest="seconds", type=positive, default=2.5, metavar="S",
        help="how long to watch (2.5 s); a counter must be seen to move",
    )  # fmt: skip
    add_meters(parser)
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER",
        help=f"read a copy of /sys, or a fake (${ROOT_VARIABLE}); all meters then say that they are",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(argv)
