# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Topic names that users give."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lowlat_nodes.stream.errors import ConfigurationError


def absolute(name: str, node: str = "") -> str:
    """Return a topic name as ROS resolves it for a node without a namespace."""
    if name.startswith("~/"):
        return f"/{node}/{name[2:]}"
    return name if name.startswith("/") else f"/{name}"


def require(name: str, known: Iterable[str], what: str) -> None:
    """Check that a name is among the known ones.

    Raises:
        ConfigurationError: If it is not; the message suggests the nearest one.
    """
    names = list(known)
    if name not in names:
        nearest = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(names) or 'none'}"
        raise ConfigurationError(f"{what} {name!r}; {hint}")
