# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's report: one HTML file without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from lowlat_nodes.cli.demo import plots, ways
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
from lowlat_nodes.cli.demo.result import Check, StrategyResult
from lowlat_nodes.cli.demo.settings import DemoSettings
from lowlat_nodes.sim.score import difference_ci95


def render(
    settings: DemoSettings,
    results: Mapping[str, StrategyResult],
    checks: Sequence[Check],
    machine: Mapping[str, str],
    command: str,
) -> str:
    """Return the report as HTML text.

    Args:
        settings: What the runs were told to do.
        results: At least one run, by strategy.
        checks: What must hold for the demo to have worked.
        machine: Versions and hardware, by name.
        command: The command line that gives the same runs again.
    """
    failed = [check for check in checks if not check.passed]
    notes = _energy_notes(results)
    page = Template((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))
    return page.substitute(
        style=style(),
        colours="\n".join(_colour(name) for name in results),
        verdict=escape(verdict(results, failed)),
        details="".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(results)),
        failures=failures(failed),
        rows="".join(_row(result, notes) for result in results.values()),
        notes=notes_list(notes),
        meanings="".join(
            f'<div class="{name}"><dt>{name}</dt><dd>{escape(ways.meaning(name))}</dd></div>'
            for name in results
        ),
        reactions=plots.reactions(results),
        progress=plots.progress(results),
        hits=plots.hits(results),
        timeline=plots.timeline(results),
        paths=plots.paths(results),
        checks=check_items(checks),
        settings=definitions(_setting_words(settings)),
        machine=definitions(machine),
        command=escape(command),
    )


def verdict(results: Mapping[str, StrategyResult], failed: Sequence[Check] = ()) -> str:
    """Return the outcome in one sentence."""
    if failed:
        return "The demo did not work as it should"
    if not {"sync", "vlash"} <= set(results):
        best = max(results.values(), key=lambda result: result.score.hit_rate)
        return f"{best.name} touched {best.score.hits} of {best.score.targets} lights"
    vlash, sync = results["vlash"].score, results["sync"].score
    ratio = sync.reaction_quantile_ns(0.5) / vlash.reaction_quantile_ns(0.5)
    if not ratio > 1.0:
        return "Thinking ahead made no faster reactions in this run"
    return f"Thinking ahead, the arm reacts {ratio:.1f} times as fast as when it stops to think"


def sentences(results: Mapping[str, StrategyResult]) -> list[str]:
    """Return the outcome in a few sentences for people, with as much certainty as there is."""
    found = []
    parts = [f"{name} {run.score.hits} of {run.score.targets}" for name, run in results.items()]
    found.append(f"Lights touched in time: {listed(parts)}.")
    parts = [
        f"{run.score.reaction_quantile_ns(0.5) * 1e-6:.0f} ms with {name}" for name, run in results.items()
    ]
    found[-1] += f" Half of the reactions came within {listed(parts)}."
    if "vlash" not in results:
        return [*found, *_energy_sentence(results)]
    vlash = results["vlash"]
    found += [_difference(vlash, results[name]) for name in ("naive_async", "sync") if name in results]
    stalled = vlash.recording.policy.get("stalled_ticks", 0)
    ticks = vlash.recording.policy.get("ticks", 0)
    found.append(
        f"With vlash the arm had a valid plan at every one of {ticks} ticks."
        if stalled == 0
        else f"With vlash the arm was without a valid plan at {stalled} of {ticks} ticks."
    )
    return [*found, *_energy_sentence(results)]


def _energy_sentence(results: Mapping[str, StrategyResult]) -> list[str]:
    """Return what an action of the policy node costs, where anybody knows."""
    known = {name: run.figures()["energy"] for name, run in results.items()}
    parts = [
        f"{joules(energy['j_per_action'])} with {name} ({energy['kind']})"
        for name, energy in known.items()
        if energy["j_per_action"] is not None
    ]
    return [f"An action costs {listed(parts)}."] if parts else []


def _difference(vlash: StrategyResult, other: StrategyResult) -> str:
    low, high = difference_ci95(vlash.score.hits, vlash.score.targets, other.score.hits, other.score.targets)
    points = 100.0 * (vlash.score.hit_rate - other.score.hit_rate)
    span = f"95 % interval {_signed(100.0 * low)} to {_signed(100.0 * high)}"
    head = f"Against {other.name}, vlash touched {_signed(points)} points of lights ({span})"
    if low > 0.0:
        return f"{head}: a clear gain."
    if high < 0.0:
        return f"{head}: a clear loss."
    return f"{head}: this many targets cannot tell them apart."


def _row(result: StrategyResult, notes: Sequence[str]) -> str:
    figures = result.figures()
    low, high = (100.0 * bound for bound in result.score.hit_ci95)
    rate = 100.0 * result.score.hit_rate
    bar = (
        f'<span class="bar" aria-hidden="true"><i style="width:{rate:.1f}%"></i>'
        f'<b style="left:{low:.1f}%;width:{high - low:.1f}%"></b></span>'
    )
    missed = result.score.missed_reactions
    cells = {
        "lights touched": f"{rate:.0f} %{bar}<small>95 %: {low:.0f} to {high:.0f}</small>",
        "half react within": _ms(figures["reaction_p50_ms"]),
        "99 % within": _ms(figures["reaction_p99_ms"])
        + (f"<small>{missed} missed</small>" if missed else ""),
        "stalled ticks": count(figures["stalled_ticks"]) + f"<small>of {count(figures['ticks'])}</small>",
        "stalls": count(figures["stalls"]),
        "inferences": count(figures["inferences"]),
        "energy of an action": _energy(figures["energy"], notes),
    }
    body = "".join(f'<td data-name="{name}">{cell}</td>' for name, cell in cells.items())
    return f'<tr class="{result.name}"><th scope="row">{result.name}</th>{body}</tr>'


def _energy(energy: Mapping[str, Any], notes: Sequence[str]) -> str:
    """Return joules for an action with how they are known, and the number of the note that says more."""
    note = _energy_note(energy)
    mark = f"<sup>{notes.index(note) + 1}</sup>" if note else ""
    if energy["j_per_action"] is None:
        return f'<span class="none">no meter</span>{mark}'
    return f"{joules(energy['j_per_action'])}<small>{energy['kind']}{mark}</small>"


def _energy_notes(results: Mapping[str, StrategyResult]) -> list[str]:
    """Return what is to be said of the figures of energy, each thing once."""
    notes = (_energy_note(result.figures()["energy"]) for result in results.values())
    return [note for note in dict.fromkeys(notes) if note]


def _energy_note(energy: Mapping[str, Any]) -> str:
    """Return what is to be known of a figure, or why there is none."""
    if energy["j_per_action"] is None:
        return f"No meter: {energy['why'] or 'there were no actions'}."
    source = f"By {', '.join(energy['charged'])}: what the policy node with all its processes was charged for"
    if energy["kind"] == "modelled":
        return f"Modelled, not measured. {source}; {energy['why']}."
    return f"{source}{'; ' + energy['why'] if energy['why'] else ''}."


def _colour(name: str) -> str:
    """Return the style of a way's row and words."""
    return f"  .{name} th, .{name} dt, .{name} .bar i {{ color: {ways.colour(name)}; }}"


def _setting_words(settings: DemoSettings) -> dict[str, str]:
    return {
        "targets": str(settings.targets),
        "seed": str(settings.seed),
        "inference": f"at least {settings.inference_delay_ms:g} ms",
        "commands": f"{settings.tick_hz:g} Hz",
        "joint states": f"{settings.joint_rate_hz:g} Hz",
        "camera": f"{settings.image_rate_hz:g} Hz",
        **{name: str(value) for name, value in settings.parameters.items()},
    }


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _signed(value: float) -> str:
    rounded = round(value)
    return f"+{rounded}" if rounded > 0 else f"\N{MINUS SIGN}{-rounded}" if rounded < 0 else "0"
