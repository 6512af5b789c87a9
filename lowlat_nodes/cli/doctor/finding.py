# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a check found: how bad it is, one sentence, and the commands that mend it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Level(enum.Enum):
    """How bad it is, from good to bad."""

    OK = "ok"
    NOTE = "note"  # good to know; nothing is to be done
    WARNING = "warning"  # it works, less well than it could
    PROBLEM = "problem"  # something does not work


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: How bad it is.
        about: What was looked at, in a word or two.
        found: What was found, in one sentence.
        mend: Commands to paste, in this order; empty where nothing is to be done.
        figures: The same in numbers and names, for programs.
    """

    level: Level
    about: str
    found: str
    mend: tuple[str, ...] = ()
    figures: Mapping[str, object] = field(default_factory=dict)


def ok(about: str, found: str, **figures: object) -> Finding:
    """Return that something is as it should be."""
    return Finding(Level.OK, about, found, (), figures)


def note(about: str, found: str, *mend: str, **figures: object) -> Finding:
    """Return something that is good to know."""
    return Finding(Level.NOTE, about, found, mend, figures)


def warning(about: str, found: str, *mend: str, **figures: object) -> Finding:
    """Return something that works less well than it could."""
    return Finding(Level.WARNING, about, found, mend, figures)


def problem(about: str, found: str, *mend: str, **figures: object) -> Finding:
    """Return something that does not work."""
    return Finding(Level.PROBLEM, about, found, mend, figures)
