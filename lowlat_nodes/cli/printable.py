# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Text from outside on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text on one line, without what would command the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
