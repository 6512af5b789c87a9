# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's reports have in common: pieces of HTML, and words for figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from lowlat_nodes.cli.demo.result import Check


def style() -> str:
    """Return how the demo's reports look, as an element for the head of a page."""
    return (Path(__file__).parent / "style.html").read_text(encoding="utf-8")


def notes_list(notes: Sequence[str]) -> str:
    """Return notes by number, nothing where there are none."""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ol class="notes">{items}</ol>' if notes else ""


def joules(value: float) -> str:
    """Return an energy with three digits, in the unit that suits it."""
    for unit, scale in (("J", 1.0), ("mJ", 1e3)):
        if value * scale >= 1.0:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e6:.3g} µJ"


def failures(failed: Sequence[Check]) -> str:
    """Return what failed, nothing where all holds."""
    if not failed:
        return ""
    items = "".join(f"<li>{escape(check.sentence)}</li>" for check in failed)
    return f'<section class="failed"><h2>What failed</h2><ul>{items}</ul></section>'


def check_items(checks: Iterable[Check]) -> str:
    """Return the items of a list of what was checked."""
    return "".join(map(_check, checks))


def definitions(words: Mapping[str, str]) -> str:
    """Return the items of a list of definitions."""
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in words.items()
    )


def count(value: int | None) -> str:
    """Return a whole number with its thousands set apart."""
    return "unknown" if value is None else f"{value:,}".replace(",", "\N{THIN SPACE}")


def listed(parts: Sequence[str]) -> str:
    """Return parts of a sentence with commas and an `and`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _check(check: Check) -> str:
    word = "holds" if check.passed else "fails"
    return f'<li class="{word}"><span>{word}</span>{escape(check.sentence)}</li>'
