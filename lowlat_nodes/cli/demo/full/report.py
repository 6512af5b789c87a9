# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The report about the whole graph: one HTML file without anything from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from lowlat_nodes.cli.demo.full import plots
from lowlat_nodes.cli.demo.full.result import FullResult
from lowlat_nodes.cli.demo.page import (
    check_items,
    count,
    definitions,
    failures,
    joules,
    listed,
    notes_list,
    style,
)
from lowlat_nodes.cli.demo.result import Check

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def render(
    result: FullResult,
    checks: Sequence[Check],
    machine: Mapping[str, str],
    command: str,
    picture: bytes = b"",
) -> str:
    """Return the report as HTML text.

    Args:
        result: The run.
        checks: What must hold for the graph to have worked.
        machine: Versions and hardware, by name.
        command: The command line that does the same again.
        picture: What the detector saw at the end, a JPEG file; empty for none.
    """
    figures, heard = result.figures(), result.heard
    page = Template((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))
    cores = int(machine.get("cores", "0") or 0)
    return page.substitute(
        style=style(),
        verdict=escape(verdict(result, checks)),
        details="".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(result)),
        failures=failures([check for check in checks if not check.passed]),
        tiles="".join(_tile(*tile) for tile in _tiles(figures, cores)),
        rows="".join(_row(name, node, figures["energy"]) for name, node in figures["nodes"].items()),
        notes=notes_list(_energy_notes(figures["energy"])),
        over_time=plots.over_time(heard),
        frames=plots.ages(
            heard.frame_ages_ms(), plots.VISION, "ms from image to detections", "Ages of detections"
        ),
        latencies=plots.ages(
            heard.result_latencies_ms(), plots.SKY, "ms from packet to result", "Latencies of alerts"
        ),
        lights=plots.lights(heard),
        cores=plots.cores(figures["nodes"], cores),
        classes=plots.classes(heard.results),
        seen=_seen(picture),
        checks=check_items(checks),
        settings=definitions(_setting_words(result)),
        machine=definitions(machine),
        command=escape(command),
    )


def verdict(result: FullResult, checks: Sequence[Check]) -> str:
    """Return the outcome in one sentence."""
    if not all(check.passed for check in checks):
        return "The graph did not work as it should"
    number = len(result.settings.nodes)
    nodes = _WORDS[number] if number < len(_WORDS) else str(number)
    lost = " and no alert was lost" if result.account is not None else ""
    return f"{nodes.capitalize()} nodes, {result.heard.seconds:.0f} seconds: no command was late{lost}"


def sentences(result: FullResult) -> list[str]:
    """Return the outcome in a few sentences for people."""
    figures = result.figures()
    control, detector, alerts, total = (figures[name] for name in ("control", "detector", "alerts", "total"))
    late, thinks = _ms(control["tick_late_p99_ms"]), _ms(control["inference_p50_ms"])
    stalls = f"{count(control['stalls'])} of {count(control['ticks'])} commands came late"
    touched = f"{control['touched']} of {control['lights']} lights"
    found = [
        f"{stalls}, and 99 % of the ticks were served within {late}.",
        f"With a policy that takes {thinks} to think, the arm touched {touched}.",
    ]
    if detector is not None:
        found.append(
            f"The detector looked at {count(detector['frames'])} frames and published what it saw of 99 % of "
            f"them within {_ms(detector['age_p99_ms'])} of the image."
        )
    if alerts is not None:
        found.append(
            f"Of {count(alerts['sent'])} alerts {count(alerts['lost'])} were lost; half of the results came "
            f"within {_ms(alerts['latency_p50_ms'])}. {alerts['right']} of the {alerts['classified']} that "
            "were given a class were given the right one."
        )
    kinds = sorted(set(figures["energy"]["kind"].values()))
    found.append(
        f"All nodes together kept {total['cpu']:.2f} cores at work and held "
        f"{count(round(total['memory_mb']))} MB of memory; what they used is {listed(kinds)}."
    )
    return found


def _tiles(figures: Mapping[str, Any], cores: int) -> list[tuple[str, str, str]]:
    """Return the figures that matter most: name, value, remark."""
    control, detector, alerts, total = (figures[name] for name in ("control", "detector", "alerts", "total"))
    late = f"99 %; {control['sched'] or 'unknown'}"
    tiles = [
        ("stalls of the control tick", count(control["stalls"]), f"of {count(control['ticks'])} ticks"),
        ("a tick is late by", _ms(control["tick_late_p99_ms"]), late),
    ]
    if detector is not None:
        half = f"99 %; half {_ms(detector['age_p50_ms'])}"
        tiles.append(("age of detections", _ms(detector["age_p99_ms"]), half))
    if alerts is not None:
        tiles.append(("alerts lost", count(alerts["lost"]), f"of {count(alerts['sent'])}, one by one"))
    tiles.append(("cores at work", f"{total['cpu']:.2f}", f"of {cores}"))
    watts = [each for each in figures["energy"]["watts"].values() if each is not None]
    kinds = {
        kind
        for name, kind in figures["energy"]["kind"].items()
        if figures["energy"]["watts"][name] is not None
    }
    if watts:
        tiles.append(("power of the nodes", f"{sum(watts):.2f} W", listed(sorted(kinds))))
    return tiles


def _tile(name: str, value: str, remark: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(remark)}</small></dd></div>"


def _row(name: str, node: Mapping[str, Any], energy: Mapping[str, Any]) -> str:
    drops = sum(node["drops"].values())
    why = ", ".join(f"{reason.replace('_', ' ')} {number}" for reason, number in node["drops"].items())
    cells = {
        "state": escape(node["state"]),
        "in": _hz(node["rate_in_hz"]),
        "out": _hz(node["rate_out_hz"]),
        "latency": _ms(node["latency_p50_ms"]) + _small(node["latency_worst_ms"]),
        "age": _ms(node["age_p50_ms"]) + _small(node["age_worst_ms"]),
        "dropped": count(drops) + (f"<small>{escape(why)}</small>" if why else ""),
        "cores": _figure(node["cpu"], "{:.2f}"),
        "memory": _figure(node["memory_mb"], "{:.0f} MB"),
        "energy": _energy(name, energy),
        "restarts": count(node["restarts"]),
    }
    body = "".join(f'<td data-name="{title}">{cell}</td>' for title, cell in cells.items())
    return f'<tr><th scope="row">{escape(name)}</th>{body}</tr>'


def _energy(name: str, energy: Mapping[str, Any]) -> str:
    watts, cost, unit = (energy[key].get(name) for key in ("watts", "j_per_result", "unit"))
    if watts is None:
        return '<span class="none">no meter</span>'
    each = f"<br>{joules(cost)} / {escape(unit)}" if cost is not None else ""
    return f"{watts:.2f} W<small>{energy['kind'][name]}{each}</small>"


def _energy_notes(energy: Mapping[str, Any]) -> list[str]:
    """Return whose figures they are, and what is to be known of them."""
    meters = [
        f"Energy by {', '.join(energy['meters'])}: what each node with all its processes was charged for."
    ]
    return [*(meters if energy["meters"] else []), *(f"{why[:1].upper()}{why[1:]}." for why in energy["why"])]


def _seen(picture: bytes) -> str:
    if not picture:
        return ""
    data = base64.b64encode(picture).decode("ascii")
    return (
        f'<figure><img alt="An image of the simulated camera with boxes around shapes" '
        f'src="data:image/jpeg;base64,{data}"><figcaption><strong>What the detector saw.</strong> '
        "The simulated camera at the end of the run, with what was found in it.</figcaption></figure>"
    )


def _setting_words(result: FullResult) -> dict[str, str]:
    bag = result.figures()["bag"]
    recorded = (
        "none" if bag is None else f"{count(bag['messages'])} messages, {bag['mb']:g} MB, {bag['lost']} lost"
    )
    return {
        "length": f"{result.settings.seconds:g} s",
        "lights": str(result.settings.lights),
        "alerts": str(result.settings.alerts),
        "bag": recorded,
    }


def _small(worst_ms: float | None) -> str:
    return "" if worst_ms is None else f"<small>up to {_ms(worst_ms)}</small>"


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} ms" if value >= 10.0 else f"{value:.2g} ms"


def _hz(value: float | None) -> str:
    return _figure(value, "{:.3g} Hz")


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
