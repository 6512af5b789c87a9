# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node reports, as a row of the page and as points of its history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lowlat_nodes.cli.reports import Report
from lowlat_nodes.stream.meter import Kind

_LONGEST = 500
_MOST_VALUES = 300


def row(report: Report) -> dict[str, Any]:
    """Return an entry of `nodes`, see docs/dash.md."""
    return {
        "name": report.node[:_LONGEST],
        "part": report.part[:_LONGEST],
        "level": report.level,
        "message": report.message[:_LONGEST],
        "state": report.values.get("state", "")[:_LONGEST],
        "silent_s": round(report.silent_s, 2),
        "rate_in_hz": report.number("rate_in_hz"),
        "rate_out_hz": report.number("rate_out_hz"),
        "latency_ms": _pair(report, "latency"),
        "age_ms": _pair(report, "age"),
        "latency_newest_ms": report.number("latency_ms"),
        "drops": _counts(report, "drops"),
        "failures": _counts(report, "failures"),
        "energy": _energy(report),
        "values": {
            key[:_LONGEST]: text[:_LONGEST] for key, text in list(report.values.items())[:_MOST_VALUES]
        },
    }


def key(report: Report) -> str:
    """Return what the history calls a node."""
    return f"{report.node}: {report.part}" if report.part else report.node


def figures(report: Report) -> Mapping[str, float | None]:
    """Return the points of the history, see `history.SERIES`."""
    energy = _energy(report) or {}
    names = ("rate_in_hz", "rate_out_hz", "latency_p50_ms", "latency_p99_ms", "age_p50_ms", "age_p99_ms")
    return {name: report.number(name) for name in names} | {
        "dropped": report.number("drops"),
        "watts": energy.get("watts"),
        "j_per_result": energy.get("j_per_result"),
    }


def _pair(report: Report, what: str) -> dict[str, float] | None:
    p50, p99 = report.number(f"{what}_p50_ms"), report.number(f"{what}_p99_ms")
    return None if p50 is None or p99 is None else {"p50": p50, "p99": p99}


def _counts(report: Report, what: str) -> dict[str, int]:
    """Return counts by reason, those that are not 0; as `all` what a node does not divide."""
    start = f"{what}."
    found = {
        key.removeprefix(start): round(count)
        for key in report.values
        if key.startswith(start) and (count := report.number(key))
    }
    total = report.number(what)
    return found or ({"all": round(total)} if total else {})


def _energy(report: Report) -> dict[str, Any] | None:
    kind = report.values.get("energy.kind", "")
    if not kind:
        return None
    known = kind != Kind.UNAVAILABLE.value
    joules, unit = report.number("energy.j_per_action"), "action"
    if joules is None:
        joules, unit = report.number("energy.j_per_result"), report.values.get("energy.unit", "")
    return {
        "kind": kind,
        "fake": bool(report.values.get("energy.fake")),
        "watts": report.number("energy.w") if known else None,
        "j_per_result": joules if known else None,
        "unit": unit or "result",
    }


def finite(values: Any) -> list[float | None]:
    """Return numbers for JSON, which has neither NaN nor infinities."""
    return [round(value, 5) if math.isfinite(value) else None for value in values.tolist()]
